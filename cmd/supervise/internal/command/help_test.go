package command

import (
	"testing"

	"github.com/seed-c1490a04/supervise/cmd/internal/golden"
)

func TestHelp(t *testing.T) {
	golden.Compare(t, "help.txt", helpText)
	golden.Compare(t, "help-run.txt", helpRun)
	golden.Compare(t, "help-serve.txt", helpServe)
	golden.Compare(t, "help-doctor.txt", helpDoctor)
	golden.Compare(t, "help-jobs.txt", helpJobs)
}
