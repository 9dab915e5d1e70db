/* SPDX-License-Identifier: Apache-2.0 */
/* Where VMs go, as a table: what the cells are, what the VM wants, what must come out. */
#include "tests/unit/controller/policy_world.h"

struct cell {
	uint32_t cpus;
	unsigned mib;
};

struct row {
	const char *what;
	struct cell cells[5]; /* cell1, ...; cpus and mib 0: no more */
	uint32_t vcpus;
	unsigned mib;
	int code;
	const char *text;  /* of the refusal */
	const char *place; /* "cell:vcpu-mask cell:vcpu-mask" by member */
};

static const struct row rows[] = {
	{"one cell is enough: the one with the most CPUs",
	 {{2, 512}, {4, 256}, {3, 512}},
	 2,
	 256,
	 0,
	 NULL,
	 "cell2:3"},
	{"as many CPUs: the one with more memory",
	 {{2, 256}, {2, 512}},
	 1,
	 128,
	 0,
	 NULL,
	 "cell2:1"},
	{"all the same: the lowest id", {{2, 256}, {2, 256}}, 2, 128, 0, NULL, "cell1:3"},
	{"two cells for the CPUs",
	 {{2, 512}, {2, 512}, {2, 512}},
	 4,
	 64,
	 0,
	 NULL,
	 "cell1:3 cell2:c"},
	{"2/1/1 for the memory",
	 {{2, 128}, {2, 128}, {2, 128}},
	 4,
	 300,
	 0,
	 NULL,
	 "cell1:3 cell2:4 cell3:8"},
	{"dealt to the cell with the most left",
	 {{1, 64}, {3, 64}, {2, 64}},
	 6,
	 192,
	 0,
	 NULL,
	 "cell2:7 cell3:18 cell1:20"},
	{"a cell without room for its share is passed over",
	 {{4, 2}, {2, 256}, {2, 256}},
	 4,
	 256,
	 0,
	 NULL,
	 "cell2:3 cell3:c"},
	{"a fragment for its memory alone", {{2, 64}, {0, 64}}, 1, 128, 0, NULL, "cell1:1 cell2:0"},
	{"64 vCPUs", {{64, 64}}, 64, 2, 0, NULL, "cell1:ffffffffffffffff"},
	{"no cell",
	 {{0, 0}},
	 1,
	 64,
	 ERR_NOSPACE,
	 "vm needs 1 vCPU and 64 MiB; no cell is up",
	 NULL},
	{"too few CPUs",
	 {{2, 512}, {1, 512}},
	 4,
	 300,
	 ERR_NOSPACE,
	 "vm needs 4 vCPUs and 300 MiB; 2 cells are up with 3 CPUs and 1024 MiB free, the largest "
	 "with 2 CPUs, 512 MiB",
	 NULL},
	{"too little memory",
	 {{8, 64}, {8, 62}},
	 4,
	 128,
	 ERR_NOSPACE,
	 "vm needs 4 vCPUs and 128 MiB; 2 cells are up with 16 CPUs and 126 MiB free, the largest "
	 "with 8 CPUs, 64 MiB",
	 NULL},
	{"no vCPU", {{2, 512}}, 0, 64, ERR_INVALID, "vm has 0 vCPUs; 1 to 64 are possible", NULL},
	{"too many vCPUs",
	 {{99, 512}},
	 65,
	 64,
	 ERR_INVALID,
	 "vm has 65 vCPUs; 1 to 64 are possible",
	 NULL},
	{"no memory", {{2, 512}}, 1, 0, ERR_INVALID, NULL, NULL},
	{"half a unit of memory", {{2, 512}}, 1, 3, ERR_INVALID, NULL, NULL},
};

static struct world w;

static void describe(char *out, size_t size)
{
	const struct policy_vm *vm = policy_vm_named(w.p, "vm");
	size_t n = 0;

	out[0] = '\0';
	for (unsigned m = 0; vm && m < vm->members; m++)
		n += snprintf(out + n, size - n, "%s%s:%llx", m ? " " : "",
			      policy_cell_at(w.p, vm->fragments[m].cell)->name,
			      (unsigned long long)vm->fragments[m].vcpus);
}

static void make_cells(const struct cell *cells)
{
	char name[16];

	world_new(&w);
	for (unsigned i = 0; i < 5 && (cells[i].cpus || cells[i].mib); i++) {
		snprintf(name, sizeof(name), "cell%u", i + 1);
		world_join(&w, i + 1, name, cells[i].cpus, cells[i].mib * MIB, NULL, 0);
	}
}

static void check_row(const struct row *row, int code, const char *text)
{
	char place[4096];

	describe(place, sizeof(place));
	if (code != row->code || (row->text && strcmp(text, row->text) != 0) ||
	    strcmp(place, row->place ? row->place : "") != 0) {
		fprintf(stderr, "%s: code %d, \"%s\", at %s\n", row->what, code, text, place);
		CU_FAIL("row");
	}
}

static void chosen(void)
{
	for (unsigned i = 0; i < UNIT_COUNT(rows); i++) {
		make_cells(rows[i].cells);
		world_start(&w, "vm", rows[i].vcpus, rows[i].mib * MIB);
		check_row(&rows[i], world_code(&w) < 0 ? 0 : world_code(&w),
			  world_code(&w) < 0 ? "" : world_answer(&w, w.waiter)->text);
		CU_ASSERT(1);
		world_free(&w);
	}
}

/* ---- as the file says ---- */

#define LIST(...)                                                                                  \
	(const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)

static void told(void)
{
	static const struct cell cells[] = {{2, 128}, {2, 128}, {2, 128}, {0}, {0}};
	const struct {
		struct row row;
		struct policy_place places[3];
		size_t n;
	} told_rows[] = {
		{{"2/1/1", .place = "cell3:3 cell1:4 cell2:8"},
		 {{"cell3", LIST(0, 1)}, {"cell1", LIST(2)}, {"cell2", LIST(3)}},
		 3},
		{{"in any order", .place = "cell1:9 cell2:6"},
		 {{"cell1", LIST(3, 0)}, {"cell2", LIST(2, 1)}},
		 2},
		{{"memory alone", .place = "cell1:3 cell2:c cell3:0"},
		 {{"cell1", LIST(0, 1)}, {"cell2", LIST(2, 3)}, {"cell3", NULL, 0}},
		 3},
		{{"unknown cell", .code = ERR_NOTFOUND, .text = "there is no cell named cell9"},
		 {{"cell1", LIST(0, 1)}, {"cell9", LIST(2, 3)}},
		 2},
		{{"twice", .code = ERR_INVALID, .text = "placement names vCPU 1 twice"},
		 {{"cell1", LIST(0, 1)}, {"cell2", LIST(1, 2, 3)}},
		 2},
		{{"twice in one", .code = ERR_INVALID, .text = "placement names vCPU 0 twice"},
		 {{"cell1", LIST(0, 0)}},
		 1},
		{{"left out", .code = ERR_INVALID, .text = "placement leaves out vCPU 2"},
		 {{"cell1", LIST(0, 1)}, {"cell2", LIST(3)}},
		 2},
		{{"no such vCPU", .code = ERR_INVALID,
		  .text = "placement on cell2 names vCPU 4; vm has vCPUs 0 to 3"},
		 {{"cell1", LIST(0, 1)}, {"cell2", LIST(4)}},
		 2},
		{{"far too large", .code = ERR_INVALID}, {{"cell1", LIST(0xffffffffu)}}, 1},
		{{"cell twice", .code = ERR_INVALID, .text = "placement names cell1 twice"},
		 {{"cell1", LIST(0, 1)}, {"cell1", LIST(2, 3)}},
		 2},
		{{"no room", .code = ERR_NOSPACE,
		  .text = "cell1 would have to give 3 CPUs and 64 MiB; it has 2 CPUs and 128 MiB "
			  "free"},
		 {{"cell1", LIST(0, 1, 2)}, {"cell2", LIST(3)}},
		 2},
	};

	for (unsigned i = 0; i < UNIT_COUNT(told_rows); i++) {
		make_cells(cells);
		world_start_at(&w, "vm", 4, 128 * MIB, false, told_rows[i].places, told_rows[i].n);
		check_row(&told_rows[i].row, world_code(&w) < 0 ? 0 : world_code(&w),
			  world_code(&w) < 0 ? "" : world_answer(&w, w.waiter)->text);
		CU_ASSERT(1);
		world_free(&w);
	}
}

static void too_many_places(void)
{
	static const uint32_t v = 0;
	static struct policy_place places[POLICY_MEMBERS_MAX + 1];

	for (unsigned i = 0; i <= POLICY_MEMBERS_MAX; i++)
		places[i] = (struct policy_place){"cell1", &v, 1};
	world_new(&w);
	world_start_at(&w, "vm", 4, 128 * MIB, false, places, POLICY_MEMBERS_MAX + 1);
	CU_ASSERT_EQUAL(world_code(&w), ERR_INVALID);
	world_free(&w);
}

static void a_lost_cell_is_no_place(void)
{
	static const uint32_t all[] = {0, 1};
	struct policy_place place = {"cell1", all, 2};

	world_new(&w);
	world_cells(&w, 1, 2, 128 * MIB);
	world_link_lost(&w, 1);
	world_start(&w, "vm", 2, 2 * MIB);
	CU_ASSERT_EQUAL(world_code(&w), ERR_NOSPACE);
	world_start_at(&w, "vm", 2, 2 * MIB, false, &place, 1);
	CU_ASSERT_EQUAL(world_code(&w), ERR_UNREACHABLE);
	world_free(&w);
}

static void charges(void)
{
	world_new(&w);
	world_cells(&w, 2, 2, 128 * MIB);
	world_start(&w, "a", 3, 6 * MIB); /* 3 chunks on 2 cells: 2 chunks each */
	CU_ASSERT_EQUAL(policy_cell_named(w.p, "cell1")->memory_used, 4 * MIB);
	CU_ASSERT_EQUAL(policy_cell_named(w.p, "cell1")->vcpus_used, 2);
	CU_ASSERT_EQUAL(policy_cell_named(w.p, "cell2")->memory_used, 4 * MIB);
	CU_ASSERT_EQUAL(policy_cell_named(w.p, "cell2")->vcpus_used, 1);
	world_start(&w, "b", 2, 2 * MIB);
	CU_ASSERT_EQUAL(world_code(&w), ERR_NOSPACE);
	world_start(&w, "b", 1, 2 * MIB);
	CU_ASSERT_EQUAL(world_code(&w), -1);
	world_free(&w);
}

static void bad_names(void)
{
	static const char *const names[] = {
		"",    ".",
		"-a",  "a b",
		"a/b", "\xc3\xa4",
		"a\n", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};

	world_new(&w);
	world_cells(&w, 1, 2, 128 * MIB);
	for (unsigned i = 0; i < UNIT_COUNT(names); i++) {
		world_start(&w, names[i], 1, 2 * MIB);
		CU_ASSERT_EQUAL(world_code(&w), ERR_INVALID);
	}
	world_free(&w);
}

static void exposure(void)
{
	static const uint32_t first[] = {0, 2, 3}, second[] = {1};
	struct policy_place places[] = {
		{"cell1", first, 3}, {"cell2", second, 1}, {"cell3", NULL, 0}};
	char why[256];

	world_new(&w);
	world_cells(&w, 3, 4, 128 * MIB);
	world_start_at(&w, "vm", 4, 6 * MIB, false, places, 3);
	policy_exposure(policy_vm_named(w.p, "vm"), 0, why, sizeof(why));
	CU_ASSERT_STRING_EQUAL(
		why, "runs vCPU 0, 2 and 3, home of 1/3 of the memory, console and files");
	policy_exposure(policy_vm_named(w.p, "vm"), 1, why, sizeof(why));
	CU_ASSERT_STRING_EQUAL(why, "runs vCPU 1, home of 1/3 of the memory");
	policy_exposure(policy_vm_named(w.p, "vm"), 2, why, sizeof(why));
	CU_ASSERT_STRING_EQUAL(why, "home of 1/3 of the memory");
	policy_exposure(policy_vm_named(w.p, "vm"), 0, why, 12);
	CU_ASSERT_STRING_EQUAL(why, "runs vCPU 0");
	world_free(&w);
}

static void the_oldest_record_makes_room(void)
{
	char name[16];

	world_new(&w);
	world_cells(&w, 1, 2, 128 * MIB);
	for (unsigned i = 1; i <= POLICY_VMS_MAX + 2; i++) {
		snprintf(name, sizeof(name), "vm%u", i);
		w.now++;
		world_start(&w, name, 1, 2 * MIB);
		CU_ASSERT_EQUAL(world_saves(&w, POLICY_FORGET_VM), i > POLICY_VMS_MAX);
		world_report(&w, 1, i, 0, FRAG_GONE, END_START_FAILED);
	}
	CU_ASSERT_EQUAL(world_state(&w, "vm2"), VM_UNKNOWN);
	CU_ASSERT_EQUAL(world_state(&w, "vm3"), VM_ENDED);
	world_free(&w);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(chosen),	    UNIT_CASE(told),
		UNIT_CASE(too_many_places), UNIT_CASE(a_lost_cell_is_no_place),
		UNIT_CASE(charges),	    UNIT_CASE(bad_names),
		UNIT_CASE(exposure),	    UNIT_CASE(the_oldest_record_makes_room),
	};

	return unit_main("policy-place", cases, UNIT_COUNT(cases));
}
