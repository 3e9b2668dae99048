
# Values -----------------------------------------------------------------------------------------
#
# Files of assignments, all of them quoted by us:
#   $scratch/defaults        NAME='value' of the settings and of every *.context so far
#   $scratch/parameters      NAME='value' of the medium, made by the parser
#   $scratch/children        both, for the programs that are started
# and the first two with the names U_NAME, for this shell.

# value NAME: sets VALUE and HAVE (yes or no). NAME is ours, never text of the medium.
value() {
  eval "VALUE=\${U_$1-} HAVE=\${U_$1+yes}"
  if [ "$HAVE" != yes ]; then
    HAVE=no
    return 1
  fi
}

# reserved_name NAME: would it change how shells and programs work, if it were set?
reserved_name() {
  case $1 in
  PATH | IFS | ENV | HOME | PWD | OLDPWD | CDPATH | SHELL | SHLVL | SHELLOPTS | TMPDIR | TMOUT) ;;
  UID | EUID | GID | EGID | PPID | PGRP | USER_ID | GROUPS | ROOT) ;;
  PS[0-9] | OPTIND | OPTARG | OPTERR | LINENO | REPLY | COLUMNS | LINES | FPATH | _) ;;
  RANDOM | SRANDOM | SECONDS | EPOCH* | FUNCNAME | DIRSTACK | PIPESTATUS | PATHSEP) ;;
  HISTFILE | HISTSIZE | HISTCMD | HISTCONTROL | FCEDIT | MAIL | MAILPATH | MAILCHECK) ;;
  GLOBIGNORE | EXECIGNORE | FIGNORE | IGNOREEOF | POSIXLY_CORRECT | COMMAND_NOT_FOUND_HANDLER) ;;
  BASH* | KSH* | MKSH* | POSH* | YASH* | COMP_* | PROMPT_COMMAND | LC_* | LOCPATH | NLSPATH) ;;
  LD_* | GLIBC_* | GCONV_PATH | MALLOC_* | PYTHONPATH | PYTHONHOME | PYTHONSTARTUP) ;;
  PERL5LIB | PERL5OPT | RUBYLIB | RUBYOPT | NODE_OPTIONS) ;;
  *) return 1 ;;
  esac
}

# The names of the variables that are exported, and perhaps more: text can look like a name.
exported_names() {
  export -p | sed -n 's/^export \([A-Za-z_][A-Za-z0-9_]*\).*/\1/p
    s/^declare -x \([A-Za-z_][A-Za-z0-9_]*\).*/\1/p
    s/^typeset -x \([A-Za-z_][A-Za-z0-9_]*\).*/\1/p'
}

# Forgets the variables that somebody happened to export to us: they are no parameters. Names in
# small letters are ours, or seem to be exported only because a value looks like it.
clean_environment() {
  for clean_name in $(exported_names); do
    case $clean_name in
    *[a-z]*) continue ;;
    esac
    reserved_name "$clean_name" || unset "$clean_name"
  done
  unset CDPATH ENV BASH_ENV TMPDIR ROOT
}

# Seconds that a file of the configuration may take. It is meant to set variables.
read_limit=20

# read_context FILE: takes the variables that a file of the configuration sets. It is sourced in a
# subshell, because it may do anything there, for some seconds. What it said of itself (enable,
# stage, run_timeout, run_exec) is then in $scratch/read.action. If
# $scratch/read.done is not there, it has errors.
read_context() {
  read_name=${1##*/}
  rm -f "$scratch"/read.*
  if ! sh -n "$1" </dev/null >"$scratch/output" 2>&1; then
    log_output "$read_name"
    trouble "$1 is not used: it is no shell text"
    return
  fi
  if [ ! -e "$scratch/defaults" ]; then cat /dev/null >"$scratch/defaults"; fi
  source_context "$1" </dev/null >"$scratch/output" 2>&1 &
  read_process=$!
  end_later "$read_process" "$read_limit" </dev/null >/dev/null 2>&1 &
  read_watch=$!
  wait "$read_process"
  # posh does not always wait that long.
  read_polls=$((read_limit * 10))
  while [ ! -e "$scratch/read.done" ] && [ "$read_polls" -gt 0 ] && kill -0 "$read_process" 2>/dev/null; do
    read_polls=$((read_polls - 1))
    sleep 0.1 2>/dev/null || sleep 1
  done
  kill "$read_watch" 2>/dev/null
  wait "$read_watch"
  log_output "$read_name"
  if [ ! -e "$scratch/read.done" ]; then
    trouble "$1 is not used: it did not come to an end"
    return
  fi
  mv -f "$scratch/read.plain" "$scratch/defaults"
  mv -f "$scratch/read.own" "$scratch/defaults.own"
}

# end_later PROCESS SECONDS: kills it, unless this is killed before.
end_later() {
  trap - 0
  trap 'kill "$end_sleep"; exit' TERM
  sleep "$2" &
  end_sleep=$!
  wait "$end_sleep" && kill -9 "$1"
}

# source_context FILE: sources it, after those before it. Runs in a subshell.
source_context() {
  # shellcheck disable=SC2064  # nothing is sure of these variables later
  trap "tell_variables '$scratch/read' '$PATH'" 0
  trap - HUP INT TERM
  umask 022
  cd "$root/" || exit
  set -- "$1" "$scratch/defaults"
  set -a
  # shellcheck disable=SC1090  # a file of assignments
  . "$2"
  unset enable run_exec stage run_timeout
  # shellcheck disable=SC1090  # the configuration
  . "$1"
  # Without this word posh does not run the trap.
  exit
}

# tell_variables FILE PATH: writes what a context has set, when its subshell ends in whatever way.
# Any variable may have any value now. A mark that is in no value stands for the quotes, so that
# one sed can quote all values.
tell_variables() {
  set +e +u +f +C +v +x +a
  umask 077
  IFS='
'
  PATH=$2
  stratus_mark=@
  stratus_text=
  stratus_names=$(exported_names)
  stratus_value=''
  stratus_set=''
  for stratus_name in $stratus_names; do
    eval "stratus_value=\${$stratus_name-}"
    while :; do
      case $stratus_value in
      *"$stratus_mark"*) stratus_mark=$stratus_mark@ ;;
      *) break ;;
      esac
    done
  done
  for stratus_name in $stratus_names; do
    case $stratus_name in
    "enable" | run_exec | run_timeout | stage | stratus_*) continue ;;
    esac
    if reserved_name "$stratus_name"; then continue; fi
    eval "stratus_value=\${$stratus_name-} stratus_set=\${$stratus_name+yes}"
    if [ "$stratus_set" = yes ]; then
      stratus_text="$stratus_text$stratus_name=<$stratus_mark=$stratus_value=$stratus_mark>
"
    fi
  done
  print_text "$stratus_text" >"$1.raw"
  quote_marked "$stratus_mark" '' <"$1.raw" >"$1.plain"
  quote_marked "$stratus_mark" U_ <"$1.raw" >"$1.own"
  print_text "${enable-}
${stage-}
${run_timeout-}
${run_exec-}" >"$1.action"
  cat /dev/null >"$1.done"
}

# quote_marked MARK PREFIX: NAME=<@=value=@> becomes an assignment to PREFIX and NAME.
quote_marked() {
  sed "s/'/'\\\\''/g
    s/^\\([A-Za-z_][A-Za-z0-9_]*=\\)<$1=/$2\\1'/
    s/=$1>\$/'/"
}

# Takes the defaults into this shell.
load_defaults() {
  # shellcheck disable=SC1091  # a file of assignments
  if [ -e "$scratch/defaults.own" ]; then . "$scratch/defaults.own"; fi
}

# Puts together what the programs that are started get.
prepare_children() {
  for children_part in defaults parameters; do
    if [ -e "$scratch/$children_part" ]; then cat "$scratch/$children_part"; fi
  done >"$scratch/children"
  cat >>"$scratch/children" <<END
MOUNT_DIR='$mount_dir' CONTEXT_FILE='$mount_dir/context.sh' HOME=/root
END
  if [ -n "$root" ]; then echo "ROOT='$root'" >>"$scratch/children"; fi
}
