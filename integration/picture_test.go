package integration

import (
	"fmt"
	"html"
	"os"
	"strings"
	"testing"

	"github.com/hinshun/vt10x"
)

// TestTopPicture draws README's picture of supervise top, of jobs that have something to do; in the guest, which has controllers:
//
//	integration/vm start
//	go test -count=1 -exec "$PWD/integration/vm exec --root -- env TOP_PICTURE=$PWD/contrib/doc/top.svg" -run TestTopPicture ./integration
func TestTopPicture(t *testing.T) {
	file := os.Getenv("TOP_PICTURE")
	if file == "" {
		t.Skip("it draws a picture: TOP_PICTURE=FILE")
	}
	b := newBox(t)
	step := func(name, flags, script string) string {
		return fmt.Sprintf("%s run --name %s %s -- sh -c '%s' & ", bin.supervise, name, flags, script)
	}
	build := step("compile", "--memory-max 96M", "while :; do head -c 48M /dev/urandom | gzip -9 >/dev/null; head -c 64M /dev/zero | tail >/dev/null; done") +
		step("archive", "--best-effort", "cd "+t.TempDir()+"; while :; do cat /usr/bin/* >out; sync; rm out; done") +
		step("test", "--cpus 0.3 --memory-max 64M", "while :; do head -c 1M /dev/urandom | sha256sum >/dev/null; done") + "wait"
	var started []*proc
	for name, script := range map[string]string{"build": build, "server": "sleep 1000"} {
		started = append(started, b.start(launch{argv: []string{"systemd-run", "--scope", "--quiet", "-p", "Delegate=yes", bin.supervise, "run", "--name", name, "--memory-max=512M", "--best-effort", "--", "sh", "-c", script}}))
	}
	v := b.view(pictureCols, pictureRows, nil, bin.supervise, "top")
	v.showsText("compile", "archive", "test", "server")
	v.showsText(" 45s") // of history
	v.keys("\x1b[B")
	v.showsText("enter details")
	if err := os.WriteFile(file, []byte(drawn(v.vt, pictureCols, pictureRows)), 0o644); err != nil {
		t.Fatal(err)
	}
	v.keys("q")
	v.wait().wantCode(0)
	for _, name := range []string{"build", "server"} {
		b.command("kill", name).wantCode(0)
	}
	for _, p := range started {
		<-p.done
	}
}

// Sizes of the picture in characters, and of a character in pixels.
const (
	pictureCols = 134
	pictureRows = 11
	charWidth   = 7.8
	charHeight  = 17
)

// drawn is what a terminal shows, as SVG: light on dark, as most have it.
func drawn(vt vt10x.Terminal, cols, rows int) string {
	var s strings.Builder
	width, height := float64(cols)*charWidth+24, rows*charHeight+20
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" width="%.0f" height="%d">`+"\n", width, height, width, height)
	s.WriteString("<title>supervise top</title>\n<style>text{font:13px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre;fill:#d8dee9}.b{font-weight:bold}</style>\n")
	fmt.Fprintf(&s, `<rect width="100%%" height="100%%" rx="8" fill="#20242c"/>`+"\n")
	for y := range rows {
		for x := 0; x < cols; {
			first, end := vt.Cell(x, y), x
			var text strings.Builder
			for ; end < cols && alike(vt.Cell(end, y), first); end++ {
				text.WriteRune(vt.Cell(end, y).Char)
			}
			drawRun(&s, first, text.String(), x, y, end-x)
			x = end
		}
	}
	s.WriteString("</svg>\n")
	return s.String()
}

func alike(a, b vt10x.Glyph) bool { return a.FG == b.FG && a.BG == b.BG && a.Mode == b.Mode }

// drawRun draws characters that look alike.
func drawRun(s *strings.Builder, g vt10x.Glyph, text string, x, y, n int) {
	left, top := 12+float64(x)*charWidth, 10+y*charHeight
	if g.BG != vt10x.DefaultBG {
		fmt.Fprintf(s, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", left, top, float64(n)*charWidth, charHeight, colour(g.BG))
	}
	if strings.TrimSpace(text) == "" {
		return
	}
	class, fill := "", ""
	if g.Mode&(1<<2) != 0 { // bold, which vt10x does not export
		class = ` class="b"`
	}
	if g.FG != vt10x.DefaultFG {
		fill = fmt.Sprintf(` style="fill:%s"`, colour(g.FG))
	}
	fmt.Fprintf(s, `<text x="%.1f" y="%d" textLength="%.1f"%s%s>%s</text>`+"\n", left, top+13, float64(n)*charWidth, class, fill, html.EscapeString(text))
}

// ansi are the first colours of a terminal.
var ansi = [16]string{"#3b4252", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#abb2bf",
	"#7a8394", "#ef8891", "#b0d794", "#f0d399", "#82c4f8", "#d598e8", "#7bcbd6", "#eceff4"}

// colour is a terminal's, for SVG.
func colour(c vt10x.Color) string {
	switch {
	case c == vt10x.DefaultFG:
		return "#d8dee9"
	case c == vt10x.DefaultBG:
		return "#20242c"
	case c < 16:
		return ansi[c]
	case c < 232: // a cube
		level := func(i vt10x.Color) vt10x.Color {
			if i == 0 {
				return 0
			}
			return 55 + 40*i
		}
		c -= 16
		return fmt.Sprintf("#%02x%02x%02x", level(c/36), level(c/6%6), level(c%6))
	case c < 256: // greys
		return "#" + strings.Repeat(fmt.Sprintf("%02x", uint32(8+10*(c-232))), 3)
	}
	return fmt.Sprintf("#%06x", uint32(c))
}
