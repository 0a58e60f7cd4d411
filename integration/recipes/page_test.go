package recipes

import (
	"os"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// recipe is the nth block of code in a section of a page of contrib/recipes, as a user copies it.
func recipe(t *testing.T, page, section string, n int) string {
	t.Helper()
	text, err := os.ReadFile(testbed.Source("contrib", "recipes", page))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n## "+section+"\n")
	if !found {
		t.Fatalf("%s has no section %s", page, section)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	blocks := codeBlocks(rest)
	if n >= len(blocks) {
		t.Fatalf("section %s of %s has %d blocks, want number %d", section, page, len(blocks), n)
	}
	return blocks[n]
}

// codeBlocks are the indented parts of a text in Markdown.
func codeBlocks(text string) (blocks []string) {
	inside := false
	for line := range strings.Lines(text) {
		code, indented := strings.CutPrefix(line, "    ")
		switch {
		case indented && inside:
			blocks[len(blocks)-1] += code
		case indented:
			blocks = append(blocks, code)
		}
		inside = indented
	}
	return blocks
}

// replaced is a recipe with a part of it as this machine, or a test, needs it. The part must be there.
func replaced(t *testing.T, text, old, replacement string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("%q is not in %q", old, text)
	}
	return strings.ReplaceAll(text, old, replacement)
}
