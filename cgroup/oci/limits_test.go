package oci

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/cgroup"
)

// convert decodes a document and prints its limits, one a line: name, file=value.
func convert(text string) (lines []string, err error) {
	r, err := Decode(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	limits, err := Limits(r)
	for _, l := range limits {
		lines = append(lines, l.Name()+" "+l.File+"="+l.Value)
	}
	return lines, err
}

// What each field becomes.
func TestFields(t *testing.T) {
	for document, want := range map[string]string{
		`{}`:                                  "",
		`{"memory":null,"devices":[]}`:        "",
		`{"memory":{"limit":1073741824}}`:     "memory.limit memory.max=1073741824",
		`{"memory":{"limit":-1}}`:             "memory.limit memory.max=max",
		`{"memory":{"limit":0,"swap":0}}`:     "",
		`{"memory":{"reservation":4096}}`:     "memory.reservation memory.low=4096",
		`{"memory":{"limit":100,"swap":300}}`: "memory.limit memory.max=100\nmemory.swap memory.swap.max=200",
		`{"memory":{"limit":100,"swap":100}}`: "memory.limit memory.max=100\nmemory.swap memory.swap.max=0",
		`{"memory":{"limit":100,"swap":-1}}`:  "memory.limit memory.max=100\nmemory.swap memory.swap.max=max",
		`{"memory":{"limit":-1,"swap":300}}`:  "memory.limit memory.max=max\nmemory.swap memory.swap.max=300",
		`{"memory":{"swap":-1}}`:              "memory.swap memory.swap.max=max",
		`{"memory":{"disableOOMKiller":false,"useHierarchy":true,"checkBeforeUpdate":true,"kernel":-1}}`: "",

		`{"cpu":{"shares":1024}}`:                 "cpu.shares cpu.weight=100",
		`{"cpu":{"shares":2}}`:                    "cpu.shares cpu.weight=1",
		`{"cpu":{"shares":262144}}`:               "cpu.shares cpu.weight=10000",
		`{"cpu":{"shares":0}}`:                    "",
		`{"cpu":{"quota":50000}}`:                 "cpu.quota cpu.max=50000 100000",
		`{"cpu":{"quota":150000,"period":50000}}`: "cpu.quota cpu.max=150000 50000",
		`{"cpu":{"quota":-1,"period":100000}}`:    "cpu.quota cpu.max=max 100000",
		`{"cpu":{"quota":0,"period":100000}}`:     "cpu.period cpu.max=max 100000",
		`{"cpu":{"quota":0,"period":0}}`:          "",
		`{"cpu":{"quota":9000,"burst":9000}}`:     "cpu.quota cpu.max=9000 100000\ncpu.burst cpu.max.burst=9000",
		`{"cpu":{"idle":1,"shares":512}}`:         "cpu.shares cpu.weight=59\ncpu.idle cpu.idle=1",
		`{"cpu":{"cpus":"0-3,8","mems":" 0 "}}`:   "cpu.cpus cpuset.cpus=0-3,8\ncpu.mems cpuset.mems=0",
		`{"cpu":{"cpus":"","realtimeRuntime":0}}`: "",

		`{"pids":{"limit":2048}}`: "pids.limit pids.max=2048",
		`{"pids":{"limit":0}}`:    "pids.limit pids.max=max",
		`{"pids":{"limit":-1}}`:   "pids.limit pids.max=max",
		`{"pids":{}}`:             "",

		`{"blockIO":{"weight":10}}`:                                         "blockIO.weight io.weight=1",
		`{"blockIO":{"weight":500}}`:                                        "blockIO.weight io.weight=4950",
		`{"blockIO":{"weight":1000}}`:                                       "blockIO.weight io.weight=10000",
		`{"blockIO":{"weight":0,"leafWeight":0}}`:                           "",
		`{"blockIO":{"weightDevice":[{"major":8,"minor":0,"weight":100}]}}`: "blockIO.weightDevice[0] io.weight=8:0 910",
		`{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1},{"major":253,"minor":1,"rate":2}],
			"throttleWriteBpsDevice":[{"major":8,"rate":3}],
			"throttleReadIOPSDevice":[{"major":8,"rate":4}],
			"throttleWriteIOPSDevice":[{"major":8,"rate":18446744073709551615}]}}`: `
			blockIO.throttleReadBpsDevice[0] io.max=8:0 rbps=1
			blockIO.throttleReadBpsDevice[1] io.max=253:1 rbps=2
			blockIO.throttleWriteBpsDevice[0] io.max=8:0 wbps=3
			blockIO.throttleReadIOPSDevice[0] io.max=8:0 riops=4
			blockIO.throttleWriteIOPSDevice[0] io.max=8:0 wiops=18446744073709551615`,

		`{"hugepageLimits":[{"pageSize":"2MB","limit":209715200},{"pageSize":"1GB","limit":0}]}`: `
			hugepageLimits[0] hugetlb.2MB.max=209715200
			hugepageLimits[1] hugetlb.1GB.max=0`,
		`{"rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":10000},"mlx4_0":{"hcaObjects":0}}}`: `
			rdma["mlx4_0"] rdma.max=mlx4_0 hca_object=0
			rdma["mlx5_1"] rdma.max=mlx5_1 hca_handle=3 hca_object=10000`,
		`{"network":{"classID":0,"priorities":[]}}`: "",
		`{"unified":{"memory.high":"1G","io.max":"8:0 rbps=1\n8:16 wbps=2\n","cgroup.max.depth":"3"}}`: `
			unified["cgroup.max.depth"] cgroup.max.depth=3
			unified["io.max"] io.max=8:0 rbps=1
			unified["io.max"] io.max=8:16 wbps=2
			unified["memory.high"] memory.high=1G`,

		`{"devices":[{"allow":true,"access":"rwm"}]}`:                                               "",
		`{"devices":[{"allow":true,"type":"a","major":-1,"minor":-1,"access":"rwm"}]}`:              "",
		`{"ociVersion":"1.2.0","process":{"x":1},"linux":{"x":2,"resources":{"pids":{"limit":7}}}}`: "pids.limit pids.max=7",
		`{"linux":{"resources":{}}}`:                                                                "",
	} {
		got, err := convert(document)
		if lines := strings.Join(got, "\n"); err != nil || lines != unindent(want) {
			t.Errorf("%s:\n%s\n%v, want\n%s", document, lines, err, unindent(want))
		}
	}
}

func unindent(s string) string {
	return strings.ReplaceAll(strings.TrimSpace(s), "\n\t\t\t", "\n")
}

// Documents as programs write them: testdata/NAME.json and NAME.limits.
func TestDocuments(t *testing.T) {
	documents, err := filepath.Glob("testdata/*.json")
	if err != nil || len(documents) < 6 {
		t.Fatal(documents, err)
	}
	for _, name := range documents {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(strings.TrimSuffix(name, "json") + "limits")
		if err != nil {
			t.Fatal(err)
		}
		lines, err := convert(string(text))
		got := strings.Join(append(lines, ""), "\n")
		if err != nil {
			got = err.Error() + "\n"
		}
		if got != string(want) {
			t.Errorf("%s: got\n%swant\n%s", name, got, want)
		}
	}
}

func TestControllers(t *testing.T) {
	var c conversion
	for file, want := range map[string]string{"memory.swap.max": "memory", "cpuset.cpus": "cpuset", "cgroup.max.depth": "", "hugetlb.2MB.max": "hugetlb"} {
		c.add("field", file, "1")
		if got := c.limits[len(c.limits)-1]; got != (cgroup.Limit{Flag: "field", Controller: want, File: file, Value: "1"}) {
			t.Errorf("%s: got %+v", file, got)
		}
	}
}

// Every refusal is one line that says where and why.
func TestRefusals(t *testing.T) {
	for document, want := range map[string]string{
		``:                          `line 1: unexpected end of JSON input`,
		"{\n\"memory\": {,}\n}":     `line 2: invalid character ',' looking for beginning of object key string`,
		`{} {}`:                     `line 1: invalid character '{' after top-level value`,
		`null`:                      `the document is not a JSON object of resources`,
		`[{}]`:                      `the document is not a JSON object of resources`,
		`{"linux":{"resource":{}}}`: `the document has no linux.resources`,
		`{"ociVersion":"1.0.2"}`:    `the document has no linux.resources`,
		`{"linux":[]}`:              `linux: array where an object belongs`,
		`{"linux":{"resources":1}}`: `linux.resources: number where an object belongs`,
		"{\"x\":\"" + strings.Repeat("x", maxDocument) + "\"}": `the document is larger than 4 MiB`,

		`{"Memory":{}}`:                                `unknown field "Memory"`,
		`{"memroy":{"limit":1}}`:                       `unknown field "memroy"`,
		`{"memory":{"limitt":1}}`:                      `memory: unknown field "limitt"`,
		`{"blockIO":{"weightDevice":[{"w":1}]}}`:       `blockIO: unknown field "w"`,
		`{"memory":[]}`:                                `memory: array where an object belongs`,
		`{"memory":{"limit":"1G"}}`:                    `memory.limit: string where a whole number belongs`,
		`{"memory":{"limit":1.5}}`:                     `memory.limit: number 1.5 where a whole number belongs`,
		`{"memory":{"limit":9223372036854775808}}`:     `memory.limit: number 9223372036854775808 where a whole number belongs`,
		`{"memory":{"disableOOMKiller":1}}`:            `memory.disableOOMKiller: number where true or false belongs`,
		`{"cpu":{"shares":-1}}`:                        `cpu.shares: number -1 where a whole number from 0 to 18446744073709551615 belongs`,
		`{"cpu":{"cpus":3}}`:                           `cpu.cpus: number where a string belongs`,
		`{"blockIO":{"weight":65536}}`:                 `blockIO.weight: number 65536 where a whole number from 0 to 65535 belongs`,
		`{"blockIO":{"weightDevice":[{"major":"8"}]}}`: `blockIO.weightDevice.major: string where a whole number belongs`,
		`{"hugepageLimits":{}}`:                        `hugepageLimits: object where an array belongs`,

		`{"memory":{"limit":-2}}`:              `memory.limit: -2 is not from -1 to 9223372036854775807`,
		`{"memory":{"swap":-2}}`:               `memory.swap: -2 is not from -1 to 9223372036854775807`,
		`{"memory":{"swap":200}}`:              `memory.swap: it is the sum of memory and swap, and there is no memory.limit`,
		`{"memory":{"limit":300,"swap":200}}`:  `memory.swap: 200 is less than memory.limit, which it includes`,
		`{"memory":{"kernel":200}}`:            `memory.kernel: cgroup v2 has no such setting`,
		`{"memory":{"kernelTCP":200}}`:         `memory.kernelTCP: cgroup v2 has no such setting`,
		`{"memory":{"swappiness":60}}`:         `memory.swappiness: cgroup v2 has no such setting`,
		`{"memory":{"disableOOMKiller":true}}`: `memory.disableOOMKiller: cgroup v2 has no such setting`,
		`{"memory":{"useHierarchy":false}}`:    `memory.useHierarchy: cgroup v2 has no such setting`,

		`{"cpu":{"quota":999}}`:                      `cpu.quota: 999 is not from 1000 to 17592186044415`,
		`{"cpu":{"quota":-2}}`:                       `cpu.quota: -2 is not from 1000 to 17592186044415`,
		`{"cpu":{"period":999}}`:                     `cpu.period: 999 is not from 1000 to 1000000`,
		`{"cpu":{"quota":1000,"burst":1001}}`:        `cpu.burst: 1001 is not from 0 to 1000`,
		`{"cpu":{"quota":17592186044414,"burst":2}}`: `cpu.burst: 2 is not from 0 to 1`,
		`{"cpu":{"idle":2}}`:                         `cpu.idle: 2 is not from 0 to 1`,
		`{"cpu":{"realtimeRuntime":950000}}`:         `cpu.realtimeRuntime: cgroup v2 has no such setting`,
		`{"cpu":{"realtimePeriod":1000000}}`:         `cpu.realtimePeriod: cgroup v2 has no such setting`,
		`{"cpu":{"cpus":"all"}}`:                     `cpu.cpus: "all" is not a list such as 0-3,8`,

		`{"pids":{"limit":4194305}}`:                                          `pids.limit: 4194305 is not from -1 to 4194304`,
		`{"blockIO":{"weight":9}}`:                                            `blockIO.weight: 9 is not from 10 to 1000`,
		`{"blockIO":{"weight":1001}}`:                                         `blockIO.weight: 1001 is not from 10 to 1000`,
		`{"blockIO":{"leafWeight":10}}`:                                       `blockIO.leafWeight: cgroup v2 has no such setting`,
		`{"blockIO":{"weightDevice":[{"major":8,"leafWeight":10}]}}`:          `blockIO.weightDevice[0].leafWeight: cgroup v2 has no such setting`,
		`{"blockIO":{"weightDevice":[{"major":8},{"major":8,"weight":1}]}}`:   `blockIO.weightDevice[1].weight: 1 is not from 10 to 1000`,
		`{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0}]}}`:       `blockIO.throttleReadBpsDevice[0].rate: a rate of 0 would stop the device`,
		`{"blockIO":{"throttleReadIOPSDevice":[{"major":-1,"rate":1}]}}`:      `blockIO.throttleReadIOPSDevice[0].major: -1 is not from 0 to 4095`,
		`{"blockIO":{"throttleReadIOPSDevice":[{"minor":1048576,"rate":1}]}}`: `blockIO.throttleReadIOPSDevice[0].minor: 1048576 is not from 0 to 1048575`,

		`{"hugepageLimits":[{"pageSize":"2M","limit":0}]}`:          `hugepageLimits[0].pageSize: "2M" is not a size such as 2MB`,
		`{"hugepageLimits":[{"pageSize":"../2MB","limit":0}]}`:      `hugepageLimits[0].pageSize: "../2MB" is not a size such as 2MB`,
		`{"rdma":{"mlx5":{}}}`:                                      `rdma["mlx5"]: it has neither hcaHandles nor hcaObjects`,
		`{"rdma":{"a b":{"hcaHandles":1}}}`:                         `rdma["a b"]: that is no name of a device`,
		`{"network":{"classID":1}}`:                                 `network.classID: cgroup v2 has no such setting`,
		`{"network":{"priorities":[{"name":"eth0","priority":1}]}}`: `network.priorities: cgroup v2 has no such setting`,
		`{"unified":{"../memory.max":"1"}}`:                         `unified["../memory.max"]: that is no file of a controller`,
		`{"unified":{"memory":"1"}}`:                                `unified["memory"]: that is no file of a controller`,
		`{"unified":{"memory.max":" \n"}}`:                          `unified["memory.max"]: " \n" is no value`,
		`{"unified":{"cgroup.procs":"1"}}`:                          `unified["cgroup.procs"]: of the files of the cgroup itself only cgroup.max.* and cgroup.pressure can be set`,
		`{"devices":[{"allow":false,"access":"rwm"}]}`:              `devices[0]: access to devices is not limited here, for that takes eBPF: leave "devices" out`,
		`{"devices":[{"allow":true,"access":"rwm"},{"allow":true,"type":"c","major":1,"minor":3,"access":"rwm"}]}`: `devices[1]: access to devices is not limited here, for that takes eBPF: leave "devices" out`,
	} {
		got, err := convert(document)
		if err == nil || err.Error() != want || got != nil {
			t.Errorf("%.200s:\n%v, %v, want\n%s", document, got, err, want)
		}
	}
}
