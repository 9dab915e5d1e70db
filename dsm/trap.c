/* SPDX-License-Identifier: Apache-2.0 */
#include "dsm/trap.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <ucontext.h>

/*
 * Read without a lock, in the handler. `sequence` is odd while a place changes. A reader that meets
 * a change passes on: a range in which somebody faults does not come or go.
 */
struct place {
	atomic_uint sequence;
	_Atomic uintptr_t base; /* 0: free */
	_Atomic size_t bytes;
	_Atomic(void (*)(void *, size_t, bool, const sigset_t *)) fault;
	_Atomic(void *) context;
};

static struct place place[TRAPS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of who changes them, and all below */
static unsigned places;
static bool installed;
static struct sigaction before;

static void set(struct place *p, const struct trap *t)
{
	atomic_fetch_add(&p->sequence, 1);
	atomic_store(&p->base, (uintptr_t)t->base);
	atomic_store(&p->bytes, t->bytes);
	atomic_store(&p->fault, t->fault);
	atomic_store(&p->context, t->context);
	atomic_fetch_add(&p->sequence, 1);
}

static bool covers(struct place *p, uintptr_t at, struct trap *out)
{
	unsigned sequence = atomic_load(&p->sequence);
	uintptr_t base = atomic_load(&p->base);

	*out = (struct trap){
		.base = (void *)base,
		.bytes = atomic_load(&p->bytes),
		.fault = atomic_load(&p->fault),
		.context = atomic_load(&p->context),
	};
	return base && at - base < out->bytes && !(sequence & 1) &&
	       sequence == atomic_load(&p->sequence);
}

/* To who was there before us. A signal that was to end the process ends it: by the same access
 * again, or, if somebody sent it, as soon as this handler returns. */
static void pass_on(int number, siginfo_t *info, void *context)
{
	bool sent = info->si_code <= 0;

	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(number, info, context);
	} else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		before.sa_handler(number);
	} else if (before.sa_handler == SIG_DFL || !sent) {
		signal(number, SIG_DFL);
		if (sent)
			raise(number);
	}
}

static bool is_write(const ucontext_t *context)
{
#if defined(__x86_64__)
	return context->uc_mcontext.gregs[REG_ERR] & 1 << 1; /* of the page fault's error code */
#else
	(void)context;
	return true;
#endif
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	const ucontext_t *interrupted = context;
	uintptr_t at = (uintptr_t)info->si_addr;
	int errnum = errno, cancel;
	struct trap t;

	for (unsigned i = 0; i < TRAPS_MAX && info->si_code == BUS_ADRERR; i++) {
		if (!covers(&place[i], at, &t))
			continue;
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
		t.fault(t.context, at - (uintptr_t)t.base, is_write(interrupted),
			&interrupted->uc_sigmask);
		pthread_setcancelstate(cancel, NULL);
		errno = errnum;
		return;
	}
	pass_on(number, info, context);
	errno = errnum;
}

static int install(struct err *e)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};

	if (installed)
		return ERR_OK;
	sigfillset(&action.sa_mask);
	if (sigaction(SIGBUS, &action, &before))
		return err_sys(e, errno, "catch SIGBUS");
	installed = true;
	return ERR_OK;
}

/* Unless somebody came after us: it would lose its own handler, and may call ours. */
static void uninstall(void)
{
	struct sigaction now;

	if (sigaction(SIGBUS, NULL, &now) || !(now.sa_flags & SA_SIGINFO) ||
	    now.sa_sigaction != on_sigbus)
		return;
	sigaction(SIGBUS, &before, NULL);
	installed = false;
}

static struct place *find(uintptr_t base)
{
	for (unsigned i = 0; i < TRAPS_MAX; i++)
		if (atomic_load(&place[i].base) == base)
			return &place[i];
	return NULL;
}

static int add(const struct trap *t, struct err *e)
{
	struct place *free = find(0);
	int rc;

	if (!free)
		return err_set(e, ERR_NOSPACE, "%d ranges raise signals already", TRAPS_MAX);
	rc = install(e);
	if (rc)
		return rc;
	set(free, t);
	places++;
	return ERR_OK;
}

int trap_add(const struct trap *t, struct err *e)
{
	int rc;

#if !defined(__x86_64__)
	return err_set(e, ERR_UNSUPPORTED, "faults cannot be served by signals on this processor");
#endif
	pthread_mutex_lock(&lock);
	rc = add(t, e);
	pthread_mutex_unlock(&lock);
	return rc;
}

void trap_remove(const void *base)
{
	struct place *p;

	pthread_mutex_lock(&lock);
	p = base ? find((uintptr_t)base) : NULL;
	if (p) {
		set(p, &(struct trap){0});
		if (!--places)
			uninstall();
	}
	pthread_mutex_unlock(&lock);
}
