package cli

import (
	"cmp"
	"runtime/debug"
)

// release is the version of this source.
const release = "v1.0.0"

// linked is the version that a package has had the linker put into its programs: see contrib/packaging. There the Go tool
// knows of no tag.
var linked string

// Version is that of the package, or what the Go tool put into the binary: a tag, or a pseudo-version. Without either it is the
// release.
func Version() string {
	built := ""
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "(devel)" {
		built = info.Main.Version
	}
	return cmp.Or(linked, built, release)
}
