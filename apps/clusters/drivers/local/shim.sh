# The parent of a run: starts the server, waits, writes down how it ended, and ends what is left.
# Started by launch.py, which made it the reaper of whatever its descendants leave behind.
# Arguments: the record's folder, then the command.
record=$1
shift
trap : TERM INT HUP QUIT
"$@" </dev/null >>"$record/server.log" 2>&1
echo $? >"$record/exit.part" && mv -f "$record/exit.part" "$record/exit"
left=250
while [ "$left" -gt 0 ]; do
    children=
    read -r children <"/proc/$$/task/$$/children"
    [ -n "$children" ] || break
    # shellcheck disable=SC2086
    kill -KILL $children 2>/dev/null
    sleep 0.02
    left=$((left - 1))
done
