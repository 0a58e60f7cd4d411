package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestResources: limits from an OCI document are set, refused in one line that says where, or with --best-effort left out.
// What they limit is for integration/limits.
func TestResources(t *testing.T) {
	cases := []struct {
		document string
		flags    []string
		code     int
		want     string // in stderr; FILE is the document
	}{
		{`{}`, nil, 0, ""},
		{`{"linux": {"resources": {"devices": [{"allow": true, "access": "rwm"}]}}}`, nil, 0, ""},
		{`{"memory": {"limitt": 1}}`, nil, 125, `supervise: --resources FILE: memory: unknown field "limitt"`},
		{`{"cpu": {"quota": 5}}`, []string{"--best-effort"}, 125, `supervise: --resources FILE: cpu.quota: 5 is not from `},
		{"{\n", nil, 125, "supervise: --resources FILE: line 2: unexpected end of JSON input"},
		{`{"pids": {"limit": 9}}`, []string{"--contain=subreaper"}, 125, "supervise: --resources FILE: pids.limit needs a cgroup"},
		{`{"pids": {"limit": 9}}`, []string{"--contain=subreaper", "--no-guard", "--best-effort"}, 0,
			"supervise: not enforced: --resources FILE: pids.limit needs a cgroup"},
	}
	for _, tc := range cases {
		t.Run(tc.document, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "resources.json")
			if err := os.WriteFile(file, []byte(tc.document), 0o644); err != nil {
				t.Fatal(err)
			}
			b := newBox(t)
			o := b.supervised(append(append([]string{"run", "--resources", file}, tc.flags...), "--", "echo", "x")...)
			o.wantCode(tc.code)
			want := strings.ReplaceAll(tc.want, "FILE", file)
			if !strings.HasPrefix(o.stderr, want) || want != "" && strings.Count(o.stderr, "\n") != 1 || want == "" && o.stderr != "" {
				t.Errorf("stderr %q, want %q", o.stderr, want)
			}
			if ran := o.stdout == "x\n"; ran != (tc.code == 0) {
				t.Errorf("stdout %q", o.stdout)
			}
		})
	}
	b := newBox(t)
	o := b.supervised("run", "--resources=/nonexistent", "true")
	o.wantCode(125)
	if o.stderr != "supervise: --resources /nonexistent: open: no such file or directory\n" {
		t.Errorf("stderr %q", o.stderr)
	}
}
