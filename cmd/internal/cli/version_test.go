package cli

import (
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	if got := Version(); !strings.HasPrefix(got, "v") {
		t.Errorf("without a package it is %q", got)
	}
	linked = "v2.3.4"
	defer func() { linked = "" }()
	if got := Version(); got != "v2.3.4" {
		t.Errorf("in a package of v2.3.4 it is %q", got)
	}
}
