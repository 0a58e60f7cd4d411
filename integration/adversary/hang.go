package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hang starts a FUSE server with a child whose memory is locked (mmap_lock): it unmaps a page that it has written to, and the
// server does not answer to that. Whatever reads its /proc/PID/cmdline waits for it. With -count=0 it only finds out whether
// that could be done.
func hang(o options) error {
	cmd := again("hang-server", fmt.Sprint("-count=", o.count))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	if id := os.Geteuid(); id != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: id, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return err
	}
	if line, _ := io.ReadAll(out); len(line) == 0 {
		return errors.New("the FUSE server has failed")
	}
	if o.count == 0 {
		return cmd.Wait()
	}
	return nil
}

// again is a command for another mode of this program, which keeps descriptor 3.
func again(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Stderr = os.Stderr
	if _, err := unix.FcntlInt(3, unix.F_GETFD, 0); err == nil {
		cmd.ExtraFiles = []*os.File{os.NewFile(3, "leak")}
	}
	return cmd
}

// hangServer mounts where only it and its child see it, and serves until it is killed. It closes stdout after a word when it
// does not answer any more.
func hangServer(o options) error {
	os.WriteFile("/proc/self/comm", []byte("server"), 0)
	dir := os.TempDir()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making the mounts private: %w", err)
	}
	fuse, err := openFuse()
	if err != nil {
		return err
	}
	if err := unix.Mount("adversary", dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fuse)); err != nil {
		return fmt.Errorf("mounting FUSE: %w", err)
	}
	if o.count == 0 {
		fmt.Println("possible")
		os.Exit(0)
	}
	time.AfterFunc(limit*time.Second, func() { os.Exit(1) })
	if err := again("hang-victim").Start(); err != nil {
		return err
	}
	return serveFuse(fuse, func() {
		fmt.Println("hangs")
		os.Stdout.Close()
	})
}

// openFuse opens the device, or one of its own where there is none, as in a container of root's.
func openFuse() (fd int, err error) {
	fd, err = unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		node := fmt.Sprintf("%s/fuse-%d", os.TempDir(), os.Getpid())
		if err = unix.Mknod(node, unix.S_IFCHR|0o600, int(unix.Mkdev(10, 229))); err == nil {
			fd, err = unix.Open(node, unix.O_RDWR|unix.O_CLOEXEC, 0)
			os.Remove(node)
		}
	}
	if err != nil {
		return -1, fmt.Errorf("opening /dev/fuse: %w", err)
	}
	return fd, nil
}

// hangVictim writes to a page of a file and maps another over it: the kernel writes the first back, with its memory locked.
func hangVictim(options) error {
	os.WriteFile("/proc/self/comm", []byte("lurker"), 0)
	fd, err := unix.Open(os.TempDir()+"/file", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening the file: %w", err)
	}
	page, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("mapping the file: %w", err)
	}
	page[0] = 1
	unix.RawSyscall6(unix.SYS_MMAP, uintptr(unsafe.Pointer(&page[0])), 4096, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED, ^uintptr(0), 0)
	os.Exit(1) // the server is gone
	return nil
}

// What the kernel asks a FUSE server (include/uapi/linux/fuse.h).
const (
	fuseLookup      = 1
	fuseForget      = 2
	fuseGetattr     = 3
	fuseSetattr     = 4
	fuseOpen        = 14
	fuseRead        = 15
	fuseWrite       = 16
	fuseRelease     = 18
	fuseFlush       = 25
	fuseInit        = 26
	fuseBatchForget = 42
)

type fuseRequest struct {
	Len, Opcode uint32
	Unique, Ino uint64
	_           [4]uint32
}

type fuseAttr struct {
	Ino, Size, Blocks uint64
	_                 [3]uint64
	_                 [3]uint32
	Mode, Nlink       uint32
	_                 [3]uint32
	Blksize, _        uint32
}

// attributes are those of the root, which is inode 1, or of the one file.
func attributes(ino uint64) fuseAttr {
	if ino == 1 {
		return fuseAttr{Ino: 1, Mode: unix.S_IFDIR | 0o777, Nlink: 2, Blksize: 4096}
	}
	return fuseAttr{Ino: ino, Size: 4096, Mode: unix.S_IFREG | 0o666, Nlink: 1, Blksize: 4096}
}

const validFor = 1000 // seconds

// answers are those to all that is asked for one file; nil: it is not implemented.
func answer(r fuseRequest) any {
	switch r.Opcode {
	case fuseInit:
		return struct {
			Major, Minor, Readahead, Flags uint32
			Background, Threshold          uint16
			MaxWrite                       uint32
			_                              [9]uint32
		}{Major: 7, Minor: 31, Readahead: 1 << 16, Background: 12, Threshold: 9, MaxWrite: 1 << 16}
	case fuseLookup:
		return struct {
			Ino, _, Entry, Valid uint64
			_                    uint64
			Attr                 fuseAttr
		}{Ino: 2, Entry: validFor, Valid: validFor, Attr: attributes(2)}
	case fuseGetattr, fuseSetattr:
		return struct {
			Valid, _ uint64
			Attr     fuseAttr
		}{Valid: validFor, Attr: attributes(r.Ino)}
	case fuseOpen:
		return [16]byte{}
	case fuseRead:
		return [4096]byte{}
	case fuseRelease, fuseFlush:
		return [0]byte{}
	}
	return nil
}

// serveFuse answers to all requests but those to write, the first of which it tells of.
func serveFuse(fd int, written func()) error {
	for b := make([]byte, 1<<17); ; {
		n, err := unix.Read(fd, b)
		if err == unix.EINTR || err == unix.ENOENT { // one that was taken back
			continue
		}
		var r fuseRequest
		if err != nil {
			return fmt.Errorf("reading from /dev/fuse: %w", err)
		}
		if err := binary.Read(bytes.NewReader(b[:n]), binary.NativeEndian, &r); err != nil {
			return err
		}
		switch r.Opcode {
		case fuseForget, fuseBatchForget:
			continue
		case fuseWrite:
			if written != nil {
				written()
			}
			written = nil
			continue
		}
		var body bytes.Buffer
		errno := int32(0)
		if a := answer(r); a == nil {
			errno = -int32(unix.ENOSYS)
		} else if err := binary.Write(&body, binary.NativeEndian, a); err != nil {
			return err
		}
		head := struct {
			Len    uint32
			Error  int32
			Unique uint64
		}{uint32(16 + body.Len()), errno, r.Unique}
		var reply bytes.Buffer
		binary.Write(&reply, binary.NativeEndian, head)
		unix.Write(fd, append(reply.Bytes(), body.Bytes()...))
	}
}
