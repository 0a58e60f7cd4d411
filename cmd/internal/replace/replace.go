// Package replace writes files that appear as a whole, or not at all.
package replace

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// File puts a file with that content in the place of another, or where there is none: a
// reader has the old content or the new one. What is there and is no regular file, a symbolic
// link too, is left alone. Mode is the new file's; 0: what the umask leaves of rw-rw-rw-.
//
// The name meanwhile begins with a dot, ends with no suffix that readers of directories look
// for, and cannot be foreseen; O_EXCL follows no symbolic link.
func File(name string, content []byte, mode fs.FileMode) error {
	if st, err := os.Lstat(name); err == nil && !st.Mode().IsRegular() {
		return &fs.PathError{Op: "replace", Path: name, Err: errors.New("is there already, and no regular file; leave -o out, and redirect standard output")}
	}
	tmp := filepath.Join(filepath.Dir(name), fmt.Sprintf(".%.100s.%016x", filepath.Base(name), rand.Uint64()))
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return &fs.PathError{Op: "open", Path: name, Err: errors.Unwrap(err)} // not the name of the file meanwhile, which the caller has not given
	}
	_, err = f.Write(content)
	if mode != 0 {
		err = errors.Join(err, f.Chmod(mode))
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(tmp, name)
	}
	if err != nil {
		os.Remove(tmp)
	}
	return err
}
