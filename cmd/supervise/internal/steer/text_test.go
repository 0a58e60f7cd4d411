package steer

import "testing"

func TestTable(t *testing.T) {
	got := table([][]string{{"A", "B"}, {"\x1b[31m\t", "x"}, {"long one", "y\nz"}})
	want := "A           B\n\\x1b[31m\\t  x\nlong one    y\\nz\n"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
