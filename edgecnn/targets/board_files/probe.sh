# What this board is: lines of KEY=VALUE. Any POSIX shell runs it; no Python is needed.
say() { printf '%s=%s\n' "$1" "$2"; }
read_file() { [ -r "$1" ] && tr -d '\000' <"$1" 2>/dev/null | head -n 1; }
has() { command -v "$1" >/dev/null 2>&1; }

say machine "$(uname -m)"
say kernel "$(uname -sr)"
say bits "$(getconf LONG_BIT 2>/dev/null)"
say host "$(uname -n)"
say user "$(id -un 2>/dev/null)"
say now "$(date +%s)"
say os "$(. /etc/os-release 2>/dev/null; printf %s "${PRETTY_NAME:-}")"
say os_id "$(. /etc/os-release 2>/dev/null; printf %s "${ID:-}")"
model=$(read_file /proc/device-tree/model)
say board "${model:-$(read_file /sys/firmware/devicetree/base/model)}"
say cpu "$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)"
say part "$(sed -n 's/^CPU part[^:]*: *//p' /proc/cpuinfo | head -n 1)"
say features "$(sed -n 's/^\(Features\|flags\)[^:]*: *//p' /proc/cpuinfo | head -n 1)"
say cores "$(getconf _NPROCESSORS_ONLN 2>/dev/null)"
say memory_kb "$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)"
say available_kb "$(sed -n 's/^MemAvailable: *\([0-9]*\).*/\1/p' /proc/meminfo)"
say swap_kb "$(sed -n 's/^SwapFree: *\([0-9]*\).*/\1/p' /proc/meminfo)"
libc=$(getconf GNU_LIBC_VERSION 2>/dev/null)
say libc "${libc:-$(ldd --version 2>&1 | head -n 1)}"

for place in "${TMPDIR:-/var/tmp}" "$HOME" /tmp; do
    if [ -d "$place" ] && [ -w "$place" ]; then
        say folder "$place"
        say disk_kb "$(df -Pk "$place" 2>/dev/null | awk 'NR == 2 { print $4 }')"
        say inodes "$(df -Pi "$place" 2>/dev/null | awk 'NR == 2 { print $4 }')"
        break
    fi
done

cpufreq=/sys/devices/system/cpu/cpu0/cpufreq
say governor "$(read_file $cpufreq/scaling_governor)"
say clock_khz "$(read_file $cpufreq/scaling_cur_freq)"
say clock_max_khz "$(read_file $cpufreq/cpuinfo_max_freq)"
say temperature_mc "$(read_file /sys/class/thermal/thermal_zone0/temp)"
throttled=$(read_file /sys/devices/platform/soc/soc:firmware/get_throttled)
if [ -z "$throttled" ] && has vcgencmd; then
    throttled=$(vcgencmd get_throttled 2>/dev/null | sed 's/.*=//')
fi
say throttled "$throttled"
say load "$(cut -d ' ' -f 1 /proc/loadavg 2>/dev/null)"

seen=" "
# Arguments name the interpreters to look at; else what a system has.
[ $# -gt 0 ] || set -- python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9
for name in "$@"; do
    has "$name" || continue
    path=$(command -v "$name")
    real=$(readlink -f "$path" 2>/dev/null || printf %s "$path")
    case $seen in *" $real "*) continue ;; esac
    seen="$seen$real "
    # One line of JSON; a Python that doesn't start says why.
    told=$("$path" - "$HOME/.edgecnn" <<'PYTHON' 2>&1 | tail -n 1
import json, os, sys
from importlib import util
try:
    from importlib import metadata
except ImportError:
    metadata = None
name = "site-%d.%d-" % sys.version_info[:2]
kept = {}
for kind in ("tflite", "onnx"):
    if os.path.isdir(os.path.join(sys.argv[1], name + kind)):
        kept[kind] = os.path.join(sys.argv[1], name + kind)
def version(package, module):
    try:
        if util.find_spec(module) is None:
            return None
        return metadata.version(package) if metadata else "unknown"
    except Exception:
        return None
print(json.dumps({
    "version": "%d.%d.%d" % sys.version_info[:3],
    "bits": 64 if sys.maxsize > 2**32 else 32,
    "kept": kept,
    "numpy": version("numpy", "numpy"),
    "litert": version("ai-edge-litert", "ai_edge_litert"),
    "tflite-runtime": version("tflite-runtime", "tflite_runtime"),
    "onnxruntime": version("onnxruntime", "onnxruntime"),
    "pip": bool(util.find_spec("pip")),
    "venv": bool(util.find_spec("venv") and util.find_spec("ensurepip")),
}))
PYTHON
)
    say python "$path	$told"
done
say end 1
