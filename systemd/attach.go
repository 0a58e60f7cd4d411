package systemd

import (
	"context"
	"fmt"
	"path"
)

// Attach has the manager move more processes into a scope that [Host.Place] got
// from it, or into a cgroup below: subgroup "" is the scope's own, which takes no
// process once it hands on controllers.
func (h *Host) Attach(ctx context.Context, unit, subgroup string, pids []int) error {
	m, err := h.connect(ctx, h.doors())
	if err != nil {
		return err
	}
	defer m.Close()
	numbers := make([]uint32, len(pids))
	for i, pid := range pids {
		numbers[i] = uint32(pid)
	}
	if subgroup != "" {
		subgroup = path.Join("/", subgroup)
	}
	if err := m.AttachProcessesToUnit(ctx, unit, subgroup, numbers); err != nil {
		return fmt.Errorf("attaching to %s over %s: %w", unit, m.door, explain(ctx, err))
	}
	if _, err := h.arrived(pids, unit); err != nil {
		return fmt.Errorf("attaching to %s over %s: %w", unit, m.door, err)
	}
	return nil
}
