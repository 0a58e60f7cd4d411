package main

const helpText = `usage: supervise-oci --limits FILE
       supervise-oci --metrics CGROUP

Speaks the formats of container runtimes, for "supervise run --resources FILE"
and for programs that know them.

  --limits FILE     convert the resources in an OCI document, a LinuxResources
                    object or a whole config.json, to files of cgroup v2, and
                    print them as one line of JSON, in the order to be written;
                    - is the standard input
  --metrics CGROUP  read the numbers of a job (the directory that its record
                    has as "cgroup") and print them as one line of JSON: the
                    protobuf io.containerd.cgroups.v2.Metrics, with null for
                    controllers that the cgroup does not have

Values of cgroup v1 are converted to the scale of v2: CPU shares, block I/O
weights, and swap, which there included memory. What cannot be enforced is
refused, and so is a field that is not known. Rules for devices are among it,
other than to allow everything: take them out of a config.json by
jq 'del(.linux.resources.devices)'.

exit status: 0; 1 if it failed, with the reason on stderr; 2 if it was misused.

  echo '{"memory":{"limit":1073741824}}' | supervise-oci --limits -
  [{"name":"memory.limit","controller":"memory","file":"memory.max",
    "value":"1073741824"}]                                (all on one line)
`
