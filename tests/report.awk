# SPDX-License-Identifier: Apache-2.0
# Turns the output of `ctest -V` into one line a test: name, Passed/Failed/Skipped with reason, seconds. A failed test's
# last lines follow. Appends name, state, seconds, reason to `results`, separated by tabs.

# "12: text" is output of test 12.
match($0, /^[0-9]+: /) {
	id = substr($0, 1, RLENGTH - 2)
	text = substr($0, RLENGTH + 1)
	if (text ~ /^SKIP: /)
		reason[id] = substr(text, 7)
	tail[id, count[id]++ % 30] = text
	next
}

# " 3/20 Test #12: name ......   Passed    0.10 sec" (or ***Failed, ***Skipped, ***Timeout, ***Exception: ...)
match($0, /^ *[0-9]+\/[0-9]+ Test +#[0-9]+: /) {
	id = $0
	sub(/^ *[0-9]+\/[0-9]+ Test +#/, "", id)
	sub(/:.*/, "", id)
	rest = substr($0, RLENGTH + 1)
	name = rest
	sub(/ .*/, "", name)
	seconds = $(NF - 1)
	state = rest ~ / Passed +[0-9.]+ sec/ ? "Passed" : rest ~ /\*\*\*Skipped/ ? "Skipped" : "Failed"
	why = ""
	if (state == "Skipped")
		why = reason[id] == "" ? "no reason given" : reason[id]
	if (state == "Failed") {
		why = rest
		sub(/^[^*]*\*\*\*/, "", why)
		sub(/ +[0-9.]+ sec.*/, "", why)
	}
	colour = state == "Passed" ? green : state == "Failed" ? red : dim
	printf "%-44s %s%s%s%s  %s s\n", title name, colour, state, plain, why == "" ? "" : " (" why ")", seconds
	printf "%s%s\t%s\t%s\t%s\n", title, name, state, seconds, why >> results
	fflush(results) # whole lines: other trees' tests are written to it at the same time
	if (state == "Failed") {
		n = count[id] < 30 ? count[id] : 30
		for (i = count[id] - n; i < count[id]; i++)
			print "    | " tail[id, i % 30]
	}
	fflush()
}
