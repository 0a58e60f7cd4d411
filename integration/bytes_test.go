package integration

import (
	"encoding/base64"
	"os"
	"reflect"
	"strings"
	"testing"
)

// odd is no UTF-8; oddText is what JSON makes of it.
const odd, oddText = "caf\xe9", "caf\ufffd"

// oddSleep is shell that leaves a sleep of that name behind.
const oddSleep = `cp "$(command -v sleep)" "$0/` + odd + `"; "$0/` + odd + `" 1000 &` + untilExec

func base64Of(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// wantBytes checks that a field has lost its bytes, and that they are beside it.
func wantBytes(t *testing.T, in any, field, text string) {
	t.Helper()
	m, _ := in.(map[string]any)
	if lost := strings.ToValidUTF8(text, "\ufffd"); m[field] != lost || m[field+"_base64"] != base64Of(text) {
		t.Errorf("%s: %v, %v; want %q and %s", field, m[field], m[field+"_base64"], lost, base64Of(text))
	}
}

// TestBytes: text that is no UTF-8 is in the record whole.
func TestBytes(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		const limit = "misc.max=" + odd // which no kernel takes
		l := b.run(c, []string{"--name", odd, "--best-effort", "--set", limit}, sh(oddSleep, b.dir, odd)...)
		p := b.start(l)
		p.wait().wantCode(0)
		r := p.fields()
		wantBytes(t, r, "name", odd)
		argv, _ := r["argv_base64"].([]any)
		if len(argv) != 5 || argv[0] != base64Of("sh") || argv[4] != base64Of(odd) {
			t.Errorf("argv %v, %v", r["argv"], argv)
		}
		unenforced, _ := r["unenforced"].([]any)
		if len(unenforced) != 1 {
			t.Fatalf("unenforced %v", unenforced)
		}
		wantBytes(t, unenforced[0], "name", "--set "+limit)
		if reason := unenforced[0].(map[string]any)["reason"].(string); strings.Contains(reason, "\ufffd") {
			t.Errorf("reason %q", reason)
		}
		left, _ := r["leftovers"].([]any)
		if len(left) != 1 {
			t.Fatalf("leftovers %v", left)
		}
		wantBytes(t, left[0], "comm", odd)
		argv, _ = left[0].(map[string]any)["argv_base64"].([]any)
		if want := []any{base64Of(b.dir + "/" + odd), base64Of("1000")}; !reflect.DeepEqual(argv, want) {
			t.Errorf("argv of the leftover: %v, want %v", argv, want)
		}
	})
}

// TestNoBytes: where all is UTF-8, U+FFFD itself included, nothing is said twice.
func TestNoBytes(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		p := b.start(b.run(c, []string{"--name", "\ufffd"}, "true", "café", `\ufffd`))
		p.wait().wantCode(0)
		if data, err := os.ReadFile(p.record); err != nil || strings.Contains(string(data), "base64") {
			t.Errorf("%v: %s", err, data)
		}
	})
}

// TestBytesOfPhases: so are the names of phases.
func TestBytesOfPhases(t *testing.T) {
	needCgroup(t)
	b := newBox(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	w.WriteString("a\n" + odd + "\n")
	w.Close()
	l := b.run(inCgroup, []string{"--marks=fd:4"}, "true")
	l.extra = []*os.File{r}
	p := b.start(l)
	r.Close()
	p.wait().wantCode(0)
	phases, _ := p.fields()["phases"].([]any)
	if len(phases) != 3 {
		t.Fatalf("phases %v", phases)
	}
	if a := phases[1].(map[string]any); a["name"] != "a" || a["name_base64"] != nil {
		t.Errorf("%v", a)
	}
	wantBytes(t, phases[2], "name", odd)
}

// TestBytesOfCgroup: so is the path of the cgroup, for the diagnosis as well; where it is part of a sentence, it is escaped.
func TestBytesOfCgroup(t *testing.T) {
	needCgroup(t)
	b := newBox(t)
	g, err := makeGroup(b.group.file(odd))
	if err != nil {
		t.Fatal(err)
	}
	defer g.destroy()
	const enter = `echo 0 >"$0/cgroup.procs" && exec "$@"`
	o := b.start(launch{argv: sh(enter, g.path, bin.supervise, "run", "--contain=cgroup", "--record=-", "--", "true")}).wait()
	r := object(t, []byte(o.stdout))
	path, _ := r["cgroup"].(string)
	bytes, _ := r["cgroup_base64"].(string)
	raw, _ := base64.StdEncoding.DecodeString(bytes)
	if !strings.Contains(path, "/"+oddText+"/") || !strings.HasPrefix(string(raw), g.path+"/") {
		t.Errorf("cgroup %q, %q", path, raw)
	}
	if reason, _ := r["containment_reason"].(string); strings.Contains(reason, "\ufffd") {
		t.Errorf("containment_reason %q", reason)
	}
	o = b.start(launch{argv: sh(enter, g.path, bin.supervise, "doctor", "--json")}).wait()
	if d := object(t, []byte(o.stdout)); !strings.Contains(d["cgroup"].(string), oddText) || d["cgroup_base64"] == nil {
		t.Errorf("the diagnosis has %v, %v", d["cgroup"], d["cgroup_base64"])
	}
}
