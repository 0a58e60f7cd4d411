package client

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/protocol"
)

// TestKept: of a running job, of one that has ended, and of one that is forgotten.
func TestKept(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Conn) {
		out, bad := &Kept{Size: 8}, &Kept{}
		cmd := c.sh(t, `printf 0123456789; printf bad >&2; read x; printf abc`)
		in, err := cmd.StdinPipe()
		cmd.Stdout, cmd.Stderr = out, bad
		if _, err := out.Output(limit(t), 0); err != errNotStarted {
			t.Error(err)
		}
		if err := errors.Join(err, cmd.Start()); err != nil {
			t.Fatal(err)
		}
		if r, err := bad.Follow(limit(t), 0); err != nil || r.Data == nil {
			t.Errorf("%+v, %v", r, err)
		}
		r, err := out.Follow(limit(t), 9)
		if err != nil || string(r.Data) != "9" || r.Offset != 9 || r.Next != 10 || r.Ended || r.EOF {
			t.Errorf("from 9: %+v, %v", r, err)
		}
		if r, err := out.Output(limit(t), 0); err != nil || string(r.Data) != "23456789" || r.Cut != 2 {
			t.Errorf("from 0: %+v, %v", r, err)
		}
		if r, err := out.Output(limit(t), -3); err != nil || string(r.Data) != "789" || r.Offset != 7 {
			t.Errorf("the last three: %+v, %v", r, err)
		}
		if _, err := c.Output(limit(t), protocol.OutputParams{Job: cmd.Job(), Max: protocol.MaxOutput + 1}); err == nil {
			t.Error("any max will do")
		}
		if err := cmd.Forget(); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("forgetting a running job: %v", err)
		}
		in.Write([]byte("\n"))
		if r, err := out.Follow(limit(t), 10); err != nil || !strings.HasPrefix("abc", string(r.Data)) {
			t.Errorf("more: %+v, %v", r, err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		if end := cmd.Ended().Output; len(end) != 2 || end[0].KeptBytes != 8 {
			t.Errorf("%+v", end)
		}
		p := make([]byte, 10)
		if n, err := out.ReadAt(p, 8); n != 5 || err != io.EOF || string(p[:n]) != "89abc" {
			t.Errorf("ReadAt: %q, %v", p[:n], err)
		}
		if n, err := out.ReadAt(p[:5], 8); n != 5 || err != nil {
			t.Errorf("ReadAt: %d, %v", n, err)
		}
		cut := (*CutError)(nil)
		if n, err := out.ReadAt(p, 0); n != 0 || !errors.As(err, &cut) || *cut != (CutError{5, 5}) {
			t.Errorf("ReadAt: %d, %v", n, err)
		}
		if kept, err := c.Kept(limit(t)); err != nil || !slices.Equal(kept, []int{cmd.Job()}) {
			t.Errorf("kept of %v, %v", kept, err)
		}
		if err := cmd.Forget(); err != nil {
			t.Error(err)
		}
		if _, err := out.Output(limit(t), 0); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("it is forgotten: %v", err)
		}
	})
}

// TestKeptReader: from the beginning to the end, while the job runs; and where it was too late.
func TestKeptReader(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Conn) {
		const size = 300_000
		all := &Kept{Size: 1 << 20}
		cmd := c.sh(t, "head -c 300000 /dev/zero")
		cmd.Stdout = all
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(all.Reader(limit(t), 0)); err != nil || !bytes.Equal(got, make([]byte, size)) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		cmd.Wait()
		late := &Kept{Size: 10}
		cmd = c.sh(t, "head -c 1000 /dev/zero")
		cmd.Stdout = late
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		r := late.Reader(limit(t), 100)
		got, err := io.ReadAll(r)
		cut := (*CutError)(nil)
		if len(got) != 0 || !errors.As(err, &cut) || cut.Bytes != 890 {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if got, err := io.ReadAll(r); len(got) != 10 || err != nil {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}

// TestText: characters are whole, wherever they are cut.
func TestText(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Conn) {
		kept, both := &Kept{Text: true}, &Capture{Text: true}
		cmd := c.sh(t, `printf 'caf\303\251 \342\202'; read x; printf '\254'`)
		in, err := cmd.StdinPipe()
		cmd.Stdout = kept
		if err := errors.Join(err, cmd.Start()); err != nil {
			t.Fatal(err)
		}
		for next := int64(0); next < 6; {
			r, err := kept.Follow(limit(t), next)
			if err != nil || r.Text == nil || !strings.HasSuffix("café ", *r.Text) && !strings.HasPrefix("café ", *r.Text) {
				t.Fatalf("%+v, %v", r, err)
			}
			next = r.Next
		}
		in.Write([]byte("\n"))
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		if r, err := kept.Output(limit(t), 6); err != nil || r.Text == nil || *r.Text != "€" {
			t.Errorf("%+v, %v", r, err)
		}
		cmd = c.sh(t, `printf 'caf\303\251'; printf 'caf\351' >&2`)
		cmd.Stdout, cmd.Stderr = both, both
		if err := cmd.Run(); err != nil || both.String() != "cafécaf\xe9" {
			t.Errorf("%q, %v", both, err)
		}
	})
}
