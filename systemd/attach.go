package systemd

import (
	"context"
	"fmt"
	"path"
)

// Attach has the manager move more processes into a scope that it made for [Host.Place], or
// into a cgroup below. Subgroup "" is the scope's own cgroup, which takes no process once it
// hands on controllers.
func (h *Host) Attach(ctx context.Context, unit, subgroup string, pids []int) error {
	m, err := h.connect(ctx, h.endpoints())
	if err != nil {
		return err
	}
	defer m.Close()
	if subgroup != "" {
		subgroup = path.Join("/", subgroup)
	}
	err = m.AttachProcessesToUnit(ctx, unit, subgroup, numbers(pids))
	for answered(err, noProcess) && h.dropGone(&pids) {
		err = m.AttachProcessesToUnit(ctx, unit, subgroup, numbers(pids))
	}
	if err != nil {
		return fmt.Errorf("attaching to %s over %s: %w", unit, m.endpoint, explain(ctx, err))
	}
	if _, err := h.arrived(pids, unit); err != nil {
		return fmt.Errorf("attaching to %s over %s: %w", unit, m.endpoint, err)
	}
	return nil
}
