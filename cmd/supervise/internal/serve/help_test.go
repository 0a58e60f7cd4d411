package serve

import (
	"os"
	"strings"
	"testing"
)

// TestHelpNamesFlags: every flag is explained in the help text.
func TestHelpNamesFlags(t *testing.T) {
	text, err := os.ReadFile("../command/testdata/help-serve.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range flags() {
		if f.Name != "help" && !strings.Contains(string(text), "\n  --"+f.Name+" ") {
			t.Errorf("--%s is missing", f.Name)
		}
	}
}
