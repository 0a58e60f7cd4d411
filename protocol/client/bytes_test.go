package client

import (
	"strings"
	"testing"
)

// TestBytes: names that are no UTF-8 are in the record as they are, and so is the cgroup in an answer.
func TestBytes(t *testing.T) {
	const odd, coded = "caf\xe9", `"Y2Fm6Q=="`
	record := `"record":{"name":"caf\ufffd","name_base64":` + coded + `,"argv":["a","caf\ufffd"],"argv_base64":["YQ==",` + coded +
		`],"leftovers":[{"comm":"caf\ufffd","comm_base64":` + coded + `}],`
	_, c := converse(t, Options{}, lines(spawnTrue, strings.Replace(spawned, `null`, `"caf\ufffd","cgroup_base64":`+coded, 1), startedNote,
		strings.Replace(endedNote, `"record":{`, record, 1)))
	cmd := c.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	r := cmd.Record()
	if *r.Name != odd || r.NameBase64 != nil || r.Argv[1] != odd || r.Leftovers[0].Comm != odd {
		t.Errorf("%+v", r)
	}
	if got := cmd.Spawned().Cgroup; got == nil || *got != odd {
		t.Errorf("cgroup %v", got)
	}
}
