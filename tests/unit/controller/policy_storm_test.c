/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A seeded storm over the policy: a rack of model cells that start, report, lose and forget
 * fragments, clients that want things and go away, a controller that is killed and started again
 * from what it saved, and strangers who say anything.
 *
 * Held after every step: the policy's own invariants; no order to a cell whose link is not up; CPUs
 * and memory never promised twice; every waiter answered at most once; what was saved is what is
 * known. Held at the end of a storm, when all VMs were told to end: no fragment is left on any
 * cell, and nobody waits.
 *
 *	policy_storm [FIRST-SEED LAST-SEED]
 */
#include "tests/unit/controller/policy_world.h"

enum { CELLS = 5, FRAGMENTS = 4096, WAITERS = 65536, STEPS = 4000, CPUS = 6, NAMES = 12 };

static const uint64_t memory_of_cell = 512 * MIB;

/* A process on a model cell. */
struct process {
	uint64_t vm;
	unsigned member, cell;
	enum frag_state state;
	bool quit, peers, run;
};

enum waiter_state { WAITER_NONE, WAITER_WAITS, WAITER_DONE, WAITER_FORGOTTEN };

struct storm {
	struct world w;
	uint64_t seed, random, next_link;
	uint64_t links[CELLS]; /* 0: down */
	struct process processes[FRAGMENTS];
	unsigned n;
	uint8_t waiters[WAITERS];
	uint64_t controller_waiters; /* those before it died with it */
	/* what was saved */
	struct policy_vm vms[POLICY_VMS_MAX];
	struct policy_cell cells[POLICY_CELLS_MAX];
	uint64_t next_vm;
	unsigned long starts, runs, restarts, losses;
};

static struct storm s;

/* xorshift64*: Vigna, 2016. */
static uint64_t draw(uint64_t below)
{
	s.random ^= s.random >> 12;
	s.random ^= s.random << 25;
	s.random ^= s.random >> 27;
	return (s.random * 0x2545f4914f6cdd1dull >> 16) % below;
}

static void complain(const char *what)
{
	fprintf(stderr, "seed %llu, at %llu ms: %s\n", (unsigned long long)s.seed,
		(unsigned long long)s.w.now, what);
	CU_FAIL("storm");
}

static int cell_of_link(uint64_t link)
{
	for (int c = 0; link && c < CELLS; c++)
		if (s.links[c] == link)
			return c;
	return -1;
}

static struct process *find(uint64_t vm, int cell)
{
	for (unsigned i = 0; i < s.n; i++)
		if (s.processes[i].vm == vm && (int)s.processes[i].cell == cell)
			return &s.processes[i];
	return NULL;
}

static void remove_process(struct process *p)
{
	*p = s.processes[--s.n];
}

/* ---- orders ---- */

static void carry_out(const struct policy_order *o)
{
	const struct policy_cell *cell = policy_cell_at(s.w.p, o->cell);
	int c = cell ? cell_of_link(cell->link) : -1;
	struct process *p;

	if (!cell || cell->state != POLICY_CELL_UP || c < 0) {
		complain("an order to a cell that is not up");
		return;
	}
	p = find(o->vm_id.v, c);
	switch (o->kind) {
	case POLICY_FRAG_START:
		if (p || s.n == FRAGMENTS)
			complain("a second start of a fragment");
		else
			s.processes[s.n++] = (struct process){.vm = o->vm_id.v,
							      .member = o->member,
							      .cell = c,
							      .state = FRAG_NONE};
		s.starts++;
		break;
	case POLICY_FRAG_PEERS:
		if (p)
			p->peers = true;
		break;
	case POLICY_FRAG_RUN:
		if (p)
			p->run = true;
		break;
	case POLICY_FRAG_QUIT:
		if (p)
			p->quit = true;
		break;
	default:
		break;
	}
}

static void take_answer(const struct policy_order *o)
{
	if (o->number >= WAITERS || s.waiters[o->number] != WAITER_WAITS)
		complain("an answer nobody waits for");
	else
		s.waiters[o->number] = WAITER_DONE;
	if (o->answer->code && !o->answer->text[0])
		complain("a refusal without a sentence");
	if (strchr(o->answer->text, '\n'))
		complain("more than a sentence");
}

static void take_save(const struct policy_order *o)
{
	const struct policy_vm *vm = policy_vm_at(s.w.p, o->vm);

	if (o->kind == POLICY_SAVE_CELL)
		s.cells[o->cell] = *policy_cell_at(s.w.p, o->cell);
	if (o->kind == POLICY_FORGET_VM && s.vms[o->vm].id.v == o->vm_id.v)
		s.vms[o->vm].used = false;
	if (o->kind == POLICY_SAVE_VM && vm && vm->id.v == o->vm_id.v) {
		s.vms[o->vm] = *vm;
		if (vm->id.v >= s.next_vm)
			s.next_vm = vm->id.v + 1;
	}
}

static bool same_fragment(const struct policy_fragment *a, const struct policy_fragment *b)
{
	return a->cell == b->cell && a->state == b->state && a->pid == b->pid &&
	       a->vcpus == b->vcpus && strcmp(a->address, b->address) == 0;
}

static void check_saved(void)
{
	for (unsigned i = 0; i < POLICY_VMS_MAX; i++) {
		const struct policy_vm *vm = policy_vm_at(s.w.p, i);
		bool same = !vm == !s.vms[i].used;

		if (same && vm)
			same = vm->id.v == s.vms[i].id.v && vm->state == s.vms[i].state &&
			       vm->peers == s.vms[i].peers && !vm->quits == !s.vms[i].quits &&
			       memcmp(&vm->reason, &s.vms[i].reason, sizeof(vm->reason)) == 0;
		for (unsigned m = 0; same && vm && m < vm->members; m++)
			same = same_fragment(&vm->fragments[m], &s.vms[i].fragments[m]);
		if (!same) {
			complain("known, and not saved");
			return;
		}
	}
}

static void check_charges(void)
{
	for (unsigned i = 0; i < POLICY_CELLS_MAX; i++) {
		const struct policy_cell *cell = policy_cell_at(s.w.p, i);

		if (cell && (cell->memory_used > cell->memory || cell->vcpus_used > cell->cpus))
			complain("promised twice");
	}
}

static void step(struct policy_event *event)
{
	world_step(&s.w, event);
	for (size_t i = 0; i < s.w.o.n_saves; i++)
		take_save(&s.w.o.saves[i]);
	check_saved();
	check_charges();
	for (size_t i = 0; i < s.w.o.n_sends; i++) {
		const struct policy_order *o = &s.w.o.sends[i];

		if (o->kind == POLICY_ANSWER)
			take_answer(o);
		else if (o->kind == POLICY_CLOSE && cell_of_link(o->number) >= 0)
			s.links[cell_of_link(o->number)] = 0;
		else if (o->kind >= POLICY_FRAG_START && o->kind <= POLICY_FRAG_QUIT)
			carry_out(o);
	}
}

/* ---- cells ---- */

static struct policy_report report_of(const struct process *p, enum end_cause cause)
{
	return world_report_of(p->vm, p->member, p->state ? p->state : FRAG_STARTING, cause);
}

static void report(struct process *p, enum end_cause cause)
{
	struct policy_report r = report_of(p, cause);
	uint64_t link = s.links[p->cell];

	if (p->state == FRAG_GONE)
		remove_process(p);
	if (link)
		step(&(struct policy_event){
			.kind = POLICY_EV_REPORT, .link = link, .reports = &r, .n_reports = 1});
}

/* One step on in a fragment's life, if its orders allow it. */
static void advance(struct process *p)
{
	enum end_cause cause = END_NONE;

	if (p->quit)
		p->state = FRAG_GONE;
	else if (p->state == FRAG_LISTENING && !p->peers)
		return;
	else if (p->state == FRAG_READY && !p->run)
		return;
	else if (p->state < FRAG_RUNNING)
		p->state++;
	else if (p->state == FRAG_RUNNING && draw(4) == 0)
		p->state = FRAG_STOPPED, cause = draw(8) ? END_EXIT : END_GUEST_FAULT;
	else
		return;
	report(p, cause);
}

static size_t list_cell(unsigned c, struct policy_report *list)
{
	size_t n = 0;

	for (unsigned i = 0; i < s.n; i++)
		if (s.processes[i].cell == c)
			list[n++] = report_of(&s.processes[i], END_NONE);
	return n;
}

static void join(unsigned c)
{
	static struct policy_report list[FRAGMENTS];
	char name[16];
	size_t n = list_cell(c, list);

	snprintf(name, sizeof(name), "cell%u", c);
	s.links[c] = s.next_link++;
	step(&(struct policy_event){
		.kind = POLICY_EV_JOIN,
		.link = s.links[c],
		.join = {.name = name,
			 .data_address = name,
			 .memory = memory_of_cell,
			 .cpus = CPUS},
		.reports = list,
		.n_reports = n,
	});
}

static void load(unsigned c)
{
	static struct policy_report list[FRAGMENTS];
	size_t n = list_cell(c, list);

	if (s.links[c])
		step(&(struct policy_event){.kind = POLICY_EV_LOAD,
					    .link = s.links[c],
					    .reports = list,
					    .n_reports = n});
}

static void lose_link(unsigned c)
{
	uint64_t link = s.links[c];

	s.links[c] = 0;
	s.losses++;
	if (link)
		step(&(struct policy_event){.kind = POLICY_EV_LINK_LOST, .link = link});
}

static void crash_cell(unsigned c)
{
	for (unsigned i = s.n; i-- > 0;)
		if (s.processes[i].cell == c)
			remove_process(&s.processes[i]);
	lose_link(c);
}

/* ---- clients ---- */

static const char *some_name(void)
{
	static char name[16];

	snprintf(name, sizeof(name), "vm%u", (unsigned)draw(NAMES));
	return name;
}

static uint64_t new_waiter(void)
{
	uint64_t id = ++s.w.waiter;

	s.waiters[id] = WAITER_WAITS;
	return id;
}

static void want_start(void)
{
	uint32_t split[] = {0, 1, 2, 3};
	struct policy_place places[2] = {{"cell0", split, 2}, {"cell3", split + 2, 2}};
	bool told = draw(4) == 0;

	step(&(struct policy_event){
		.kind = POLICY_EV_START,
		.waiter = new_waiter(),
		.timeout_ms = draw(2) * 20000,
		.spec = {.name = some_name(),
			 .memory = told ? 64 * MIB : (1 + draw(500)) * 2 * MIB,
			 .vcpus = told ? 4 : (uint32_t)(1 + draw(10)),
			 .preserve = draw(2),
			 .places = places,
			 .n_places = told ? 2 : 0},
	});
}

static void want_end(void)
{
	step(&(struct policy_event){.kind = POLICY_EV_END,
				    .waiter = new_waiter(),
				    .timeout_ms = draw(2) * 30000,
				    .name = some_name(),
				    .text = "killed"});
}

static void want_wait(void)
{
	step(&(struct policy_event){.kind = POLICY_EV_WAIT,
				    .waiter = new_waiter(),
				    .timeout_ms = draw(2) * 5000,
				    .name = some_name()});
}

static void client_goes(void)
{
	uint64_t id = s.w.waiter ? 1 + draw(s.w.waiter) : 0;

	if (!id)
		return;
	if (s.waiters[id] == WAITER_WAITS)
		s.waiters[id] = WAITER_FORGOTTEN;
	step(&(struct policy_event){.kind = POLICY_EV_CLIENT_GONE, .waiter = id});
}

/* ---- strangers, and the end of the controller ---- */

static void anything(void)
{
	struct policy_report r = world_report_of(1 + draw(s.next_vm + 1), draw(70),
						 draw(FRAG_STATES + 2), draw(END_CAUSES));

	r.epoch.v = draw(8) ? 1 : draw(5);
	if (draw(8) == 0)
		r.address[0] = '\0';
	step(&(struct policy_event){.kind = draw(2) ? POLICY_EV_REPORT : POLICY_EV_LOAD,
				    .link = draw(4) ? s.links[draw(CELLS)] : draw(100),
				    .reports = &r,
				    .n_reports = 1});
}

static void start_controller(void)
{
	struct policy_config config = {.times = policy_times_default, .next_vm = s.next_vm};
	struct cell_id ids[POLICY_MEMBERS_MAX];
	struct err e;

	s.w.p = policy_init(calloc(1, policy_bytes()), &config);
	for (unsigned i = 0; i < POLICY_CELLS_MAX; i++)
		if (s.cells[i].used && policy_load_cell(s.w.p, &s.cells[i], &e))
			complain(e.text);
	for (unsigned i = 0; i < POLICY_VMS_MAX; i++) {
		if (!s.vms[i].used)
			continue;
		for (unsigned m = 0; m < s.vms[i].members; m++)
			ids[m] = s.cells[s.vms[i].fragments[m].cell].id;
		if (policy_load_vm(s.w.p, &s.vms[i], ids, &e))
			complain(e.text);
	}
}

static void restart(void)
{
	struct policy_vm *saved = calloc(POLICY_VMS_MAX, sizeof(*saved));
	struct policy_cell cells[POLICY_CELLS_MAX] = {0};

	free(s.w.p);
	start_controller();
	/* Slots are given anew. */
	for (unsigned i = 0; i < POLICY_CELLS_MAX; i++)
		if (policy_cell_at(s.w.p, i))
			cells[i] = *policy_cell_at(s.w.p, i);
	for (unsigned i = 0; i < POLICY_VMS_MAX; i++)
		if (policy_vm_at(s.w.p, i))
			saved[i] = *policy_vm_at(s.w.p, i);
	memcpy(s.vms, saved, sizeof(s.vms));
	memcpy(s.cells, cells, sizeof(s.cells));
	free(saved);
	memset(s.links, 0, sizeof(s.links));
	for (uint64_t id = 1; id <= s.w.waiter; id++)
		if (s.waiters[id] == WAITER_WAITS)
			s.waiters[id] = WAITER_FORGOTTEN;
	s.restarts++;
	step(&(struct policy_event){.kind = POLICY_EV_LOADED});
}

/* ---- the storm ---- */

static void some_event(void)
{
	unsigned c = draw(CELLS);

	switch (draw(40)) {
	case 0:
	case 1:
	case 2:
		want_start();
		break;
	case 3:
		want_end();
		break;
	case 4:
		want_wait();
		break;
	case 5:
		client_goes();
		break;
	case 6:
		if (draw(4) == 0)
			lose_link(c);
		break;
	case 7:
		if (draw(8) == 0)
			crash_cell(c);
		break;
	case 8:
		if (draw(16) == 0)
			restart();
		break;
	case 9:
		if (draw(4) == 0)
			anything();
		break;
	case 10:
		if (s.n && draw(4) == 0) {
			struct process *p = &s.processes[draw(s.n)];

			p->state = FRAG_GONE;
			report(p, END_PROCESS_DIED);
		}
		break;
	case 11:
		s.w.now += draw(20) ? draw(300) : draw(20000);
		step(&(struct policy_event){.kind = POLICY_EV_TIMER});
		break;
	case 12:
	case 13:
		load(c);
		break;
	case 14:
		if (!s.links[c])
			join(c);
		break;
	default:
		if (s.n)
			advance(&s.processes[draw(s.n)]);
	}
}

static bool calm(void)
{
	for (unsigned i = 0; i < POLICY_VMS_MAX; i++)
		if (policy_vm_at(s.w.p, i) && policy_vm_at(s.w.p, i)->state != VM_ENDED)
			return false;
	return s.n == 0;
}

static void end_all(void)
{
	for (unsigned i = 0; i < POLICY_VMS_MAX; i++)
		if (policy_vm_at(s.w.p, i))
			step(&(struct policy_event){.kind = POLICY_EV_END,
						    .waiter = new_waiter(),
						    .name = policy_vm_at(s.w.p, i)->name,
						    .text = "the storm is over"});
}

static void drain(void)
{
	end_all();
	for (unsigned round = 0; round < 100 && !calm(); round++) {
		s.w.now += 1000;
		for (unsigned c = 0; c < CELLS; c++)
			if (!s.links[c])
				join(c);
			else
				load(c);
		for (unsigned i = s.n; i-- > 0;)
			if (s.processes[i].quit)
				advance(&s.processes[i]);
		step(&(struct policy_event){.kind = POLICY_EV_TIMER});
	}
	if (!calm())
		complain("something was left behind");
	for (uint64_t id = 1; id <= s.w.waiter; id++)
		if (s.waiters[id] == WAITER_WAITS)
			complain("a request was never answered");
}

static void storm(uint64_t seed)
{
	memset(&s, 0, sizeof(s));
	world_new(&s.w);
	s.seed = seed;
	s.random = seed * 0x9e3779b97f4a7c15ull + 1;
	s.next_link = s.next_vm = 1;
	for (unsigned c = 0; c < CELLS; c++)
		join(c);
	for (unsigned i = 0; i < STEPS && !CU_get_number_of_failures(); i++)
		some_event();
	if (!CU_get_number_of_failures())
		drain();
	world_free(&s.w);
}

static uint64_t first_seed = 1, last_seed = 20;

static void storms(void)
{
	unsigned long starts = 0, losses = 0, restarts = 0;

	for (uint64_t seed = first_seed; seed <= last_seed; seed++) {
		storm(seed);
		starts += s.starts;
		losses += s.losses;
		restarts += s.restarts;
		if (CU_get_number_of_failures())
			return;
	}
	printf("%lu fragments started, %lu links lost, %lu controllers restarted\n", starts, losses,
	       restarts);
	/* A storm in which nothing happens proves nothing. */
	CU_ASSERT(starts > 100 * (last_seed - first_seed + 1));
	CU_ASSERT(losses > 0);
	CU_ASSERT(restarts > 0);
}

int main(int argc, char **argv)
{
	static const struct unit_case cases[] = {UNIT_CASE(storms)};

	if (argc == 3) {
		first_seed = strtoull(argv[1], NULL, 10);
		last_seed = strtoull(argv[2], NULL, 10);
	}
	return unit_main("policy-storm", cases, UNIT_COUNT(cases));
}
