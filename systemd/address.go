package systemd

import (
	"fmt"
	"net/url"
	"strings"
)

// parseAddresses reads a list of D-Bus server addresses (D-Bus specification,
// "Server Addresses") and returns those that are Unix sockets, as package net
// writes them: a path, or a name of the abstract namespace after an "@". Other transports are
// left out on purpose: unixexec would run a program, and over TCP no manager can verify our
// user.
func parseAddresses(list string) ([]string, error) {
	var sockets []string
	for a := range strings.SplitSeq(list, ";") {
		values, ok := strings.CutPrefix(a, "unix:")
		if !ok {
			continue
		}
		if s := socketOf(values); s != "" {
			sockets = append(sockets, s)
		}
	}
	if len(sockets) == 0 {
		return nil, fmt.Errorf("no Unix socket in the address %q", list)
	}
	return sockets, nil
}

// socketOf finds path= or abstract= among the keys of one address, of which it
// must have exactly one. A NUL would cut the name short for the kernel.
func socketOf(values string) string {
	socket, n := "", 0
	for kv := range strings.SplitSeq(values, ",") {
		key, value, _ := strings.Cut(kv, "=")
		if key != "path" && key != "abstract" {
			continue
		}
		n++
		name, err := url.PathUnescape(value) // %xx, as the specification has it
		if err != nil || name == "" || strings.ContainsRune(name, 0) {
			return ""
		}
		if socket = name; key == "abstract" {
			socket = "@" + name
		} else if name[0] != '/' { // a relative path: the address does not say to which directory
			return ""
		}
	}
	if n != 1 {
		return ""
	}
	return socket
}
