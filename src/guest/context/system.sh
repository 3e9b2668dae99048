# The system: host keys, name, time zone, size of the root file system ------------------------------

# Whether COMMAND is there and is one of the guest: in a test below $ROOT nothing of the machine that
# runs the test may be called to change something.
guest_has() {
  case $(command -v "$1") in
  "$root"/*) return 0 ;;
  esac
  return 1
}
set_host_keys() { return 0; }
set_hostname() { return 0; }
set_timezone() { return 0; }
grow_root() { return 0; }
