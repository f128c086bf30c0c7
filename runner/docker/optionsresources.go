package docker

import (
	"encoding/csv"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/blkiodev"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
)

// resources are the options that limit a container.
func (p *optionSet) resources(c *createSpec) {
	h := &c.host
	p.each("cpus", func(s string) error {
		r, ok := new(big.Rat).SetString(s)
		if !ok || strings.ContainsAny(s, "/eE") {
			return fmt.Errorf("%q is not a number of processors", s)
		}
		nano := r.Mul(r, big.NewRat(1e9, 1))
		if !nano.IsInt() || !nano.Num().IsInt64() || nano.Sign() < 0 {
			return fmt.Errorf("%q is not a number of processors with at most nine decimals", s)
		}
		h.NanoCPUs = nano.Num().Int64()
		return nil
	})
	p.integer("cpu-shares,c", func(n int64) { h.CPUShares = n })
	p.integer("cpu-period", func(n int64) { h.CPUPeriod = n })
	p.integer("cpu-quota", func(n int64) { h.CPUQuota = n })
	p.integer("cpu-rt-period", func(n int64) { h.CPURealtimePeriod = n })
	p.integer("cpu-rt-runtime", func(n int64) { h.CPURealtimeRuntime = n })
	p.text("cpuset-cpus", &h.CpusetCpus)
	p.text("cpuset-mems", &h.CpusetMems)
	p.size("memory,m", func(n int64) { h.Memory = n })
	p.size("memory-reservation", func(n int64) { h.MemoryReservation = n })
	p.each("memory-swap", func(s string) (err error) {
		if s == "-1" {
			h.MemorySwap = -1
			return nil
		}
		h.MemorySwap, err = units.RAMInBytes(s)
		return err
	})
	p.integer("memory-swappiness", func(n int64) { h.MemorySwappiness = &n })
	p.flag("oom-kill-disable", func(b bool) { h.OomKillDisable = &b })
	p.integer("oom-score-adj", func(n int64) { h.OomScoreAdj = int(n) })
	p.integer("pids-limit", func(n int64) { h.PidsLimit = &n })
	p.size("shm-size", func(n int64) { h.ShmSize = n })
	p.each("ulimit", func(s string) error {
		u, err := units.ParseUlimit(s)
		if err == nil {
			h.Ulimits = append(h.Ulimits, u)
		}
		return err
	})
	p.each("blkio-weight", func(s string) error {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil || n != 0 && (n < 10 || n > 1000) {
			return fmt.Errorf("%q is neither 0 nor a weight from 10 to 1000", s)
		}
		h.BlkioWeight = uint16(n)
		return nil
	})
	p.each("blkio-weight-device", func(s string) error {
		path, weight, _ := strings.Cut(s, ":")
		n, err := strconv.ParseUint(weight, 10, 16)
		if err != nil || n < 10 || n > 1000 || !strings.HasPrefix(path, "/dev/") {
			return fmt.Errorf("%q is not of the form /dev/name:weight, with a weight from 10 to 1000", s)
		}
		h.BlkioWeightDevice = append(h.BlkioWeightDevice, &blkiodev.WeightDevice{Path: path, Weight: uint16(n)})
		return nil
	})
	p.throttle("device-read-bps", units.RAMInBytes, &h.BlkioDeviceReadBps)
	p.throttle("device-write-bps", units.RAMInBytes, &h.BlkioDeviceWriteBps)
	count := func(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }
	p.throttle("device-read-iops", count, &h.BlkioDeviceReadIOps)
	p.throttle("device-write-iops", count, &h.BlkioDeviceWriteIOps)
	p.each("device", func(s string) error {
		d, err := parseDevice(s)
		if err == nil {
			h.Devices = append(h.Devices, d)
		}
		return err
	})
	p.list("device-cgroup-rule", &h.DeviceCgroupRules)
	p.each("gpus", func(s string) error {
		d, err := parseGPUs(s)
		if err == nil {
			h.DeviceRequests = append(h.DeviceRequests, d)
		}
		return err
	})
}

func (p *optionSet) throttle(name string, parse func(string) (int64, error), to *[]*blkiodev.ThrottleDevice) {
	p.each(name, func(s string) error {
		path, rate, _ := strings.Cut(s, ":")
		n, err := parse(rate)
		if err != nil || n < 0 || !strings.HasPrefix(path, "/dev/") {
			return fmt.Errorf("%q is not of the form /dev/name:rate", s)
		}
		*to = append(*to, &blkiodev.ThrottleDevice{Path: path, Rate: uint64(n)})
		return nil
	})
}

// parseDevice reads "/dev/host[:/dev/container][:rwm]".
func parseDevice(s string) (container.DeviceMapping, error) {
	parts := strings.Split(s, ":")
	d := container.DeviceMapping{PathOnHost: parts[0], PathInContainer: parts[0], CgroupPermissions: "rwm"}
	access := func(s string) bool { return s != "" && strings.Trim(s, "rwm") == "" }
	switch {
	case parts[0] == "" || len(parts) > 3:
		return d, fmt.Errorf("%q is not of the form host[:container][:rwm]", s)
	case len(parts) == 3:
		if !access(parts[2]) {
			return d, fmt.Errorf("%q: access %q is not made of r, w and m", s, parts[2])
		}
		d.PathInContainer, d.CgroupPermissions = parts[1], parts[2]
	case len(parts) == 2 && access(parts[1]):
		d.CgroupPermissions = parts[1]
	case len(parts) == 2:
		d.PathInContainer = parts[1]
	}
	return d, nil
}

// parseGPUs reads "all", a count, or a list such as "device=0" and "driver=nvidia,count=2,capabilities=utility". Whether the
// engine has any is for the engine to say.
func parseGPUs(s string) (container.DeviceRequest, error) {
	d := container.DeviceRequest{}
	fields, err := csvFields(s)
	if err != nil {
		return d, err
	}
	capabilities := []string{"gpu"}
	for _, f := range fields {
		k, v, ok := strings.Cut(f, "=")
		if !ok {
			k, v = "count", f
		}
		switch k {
		case "count":
			if v == "all" {
				d.Count = -1
			} else if d.Count, err = strconv.Atoi(v); err != nil {
				return d, fmt.Errorf("count %q is neither a whole number nor all", v)
			}
		case "device":
			d.DeviceIDs = strings.Split(v, ",")
		case "driver":
			d.Driver = v
		case "capabilities":
			capabilities = append(capabilities, strings.Split(v, ",")...)
		default:
			return d, fmt.Errorf("unknown key %q", k)
		}
	}
	if d.Count == 0 && len(d.DeviceIDs) == 0 {
		d.Count = 1
	}
	d.Capabilities = [][]string{capabilities}
	return d, nil
}

// storage are the options about what is mounted.
func (p *optionSet) storage(c *createSpec) {
	p.each("volume,v", c.mount)
	p.each("mount", func(s string) error {
		m, err := parseMount(s)
		if err == nil {
			c.host.Mounts = append(c.host.Mounts, m)
		}
		return err
	})
	p.each("tmpfs", func(s string) error {
		path, opts, _ := strings.Cut(s, ":")
		if !strings.HasPrefix(path, "/") {
			return fmt.Errorf("%q does not start with an absolute path", s)
		}
		if c.host.Tmpfs == nil {
			c.host.Tmpfs = map[string]string{}
		}
		c.host.Tmpfs[path] = opts
		return nil
	})
	p.list("volumes-from", &c.host.VolumesFrom)
	p.text("volume-driver", &c.host.VolumeDriver)
	p.pairs("storage-opt", &c.host.StorageOpt)
}

// mount adds a volume as docker takes it: "name:/path", "/host:/path:ro", "/path".
func (c *createSpec) mount(s string) error {
	parts := strings.Split(s, ":")
	target := parts[0]
	if len(parts) > 1 {
		target = parts[1]
	}
	if len(parts) > 3 || parts[0] == "" || !strings.HasPrefix(target, "/") {
		return fmt.Errorf("volume %q is not of the form [source:]/path[:options]", s)
	}
	if len(parts) == 1 {
		if c.config.Volumes == nil {
			c.config.Volumes = map[string]struct{}{}
		}
		c.config.Volumes[target] = struct{}{}
		return nil
	}
	if !strings.HasPrefix(parts[0], "/") && strings.Contains(parts[0], "/") {
		return fmt.Errorf("volume %q: %q is neither an absolute path nor the name of a volume", s, parts[0])
	}
	c.host.Binds = append(c.host.Binds, s)
	return nil
}

// parseMount reads the long form, "type=bind,source=/a,target=/b,readonly".
func parseMount(s string) (mount.Mount, error) {
	m := mount.Mount{Type: mount.TypeVolume}
	fields, err := csvFields(s)
	if err != nil {
		return m, err
	}
	for _, f := range fields {
		k, v, valued := strings.Cut(f, "=")
		switch strings.ToLower(k) {
		case "type":
			switch m.Type = mount.Type(strings.ToLower(v)); m.Type {
			case mount.TypeBind, mount.TypeVolume, mount.TypeTmpfs:
			default:
				return m, fmt.Errorf("type %q is none of bind, volume, tmpfs", v)
			}
		case "source", "src":
			m.Source = v
		case "target", "dst", "destination":
			m.Target = v
		case "readonly", "ro":
			m.ReadOnly = true
			if valued {
				if m.ReadOnly, err = strconv.ParseBool(v); err != nil {
					return m, fmt.Errorf("%s: %w", k, err)
				}
			}
		case "bind-propagation":
			m.BindOptions = &mount.BindOptions{Propagation: mount.Propagation(v)}
		case "volume-nocopy":
			no := true
			if valued {
				if no, err = strconv.ParseBool(v); err != nil {
					return m, fmt.Errorf("%s: %w", k, err)
				}
			}
			m.VolumeOptions = &mount.VolumeOptions{NoCopy: no}
		case "tmpfs-size":
			n, err := units.RAMInBytes(v)
			if err != nil {
				return m, fmt.Errorf("tmpfs-size: %w", err)
			}
			tmpfsOptions(&m).SizeBytes = n
		case "tmpfs-mode":
			mode, err := strconv.ParseUint(v, 8, 32)
			if err != nil {
				return m, fmt.Errorf("tmpfs-mode %q is not an octal number", v)
			}
			tmpfsOptions(&m).Mode = os.FileMode(mode)
		default:
			return m, fmt.Errorf("key %q is not supported", k)
		}
	}
	if !strings.HasPrefix(m.Target, "/") {
		return m, errors.New("the target is not an absolute path")
	}
	if m.Type == mount.TypeBind && !strings.HasPrefix(m.Source, "/") {
		return m, errors.New("the source of a bind is not an absolute path")
	}
	return m, nil
}

func tmpfsOptions(m *mount.Mount) *mount.TmpfsOptions {
	if m.TmpfsOptions == nil {
		m.TmpfsOptions = &mount.TmpfsOptions{}
	}
	return m.TmpfsOptions
}

// csvFields splits a list whose fields may be quoted.
func csvFields(s string) ([]string, error) {
	r := csv.NewReader(strings.NewReader(s))
	fields, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%q is not a list of key=value: %w", s, err)
	}
	return fields, nil
}
