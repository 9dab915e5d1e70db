/* SPDX-License-Identifier: Apache-2.0 */
#include "dsm/awake.h"

void awake_asked(struct awake *a, uint64_t now)
{
	a->asked = now;
}

static uint64_t a_while(const struct awake *a)
{
	return AWAKE_NS + a->longer;
}

void awake_heard(struct awake *a, uint64_t now)
{
	uint64_t apart = now - a->heard, longer = 2 * a_while(a);

	if (apart >= AWAKE_MAX_NS)
		a->longer = 0;
	else if (apart >= a_while(a))
		a->longer = (longer < AWAKE_MAX_NS ? longer : AWAKE_MAX_NS) - AWAKE_NS;
	a->dense = apart < a_while(a);
	a->heard = now;
}

void awake_woke(struct awake *a, uint64_t now)
{
	a->busy_until = now + AWAKE_BUSY_NS;
}

void awake_displaced(struct awake *a, uint64_t now)
{
	bool again = now - a->sleep_until < AWAKE_SLEEPY_MAX_NS;

	a->sleepy = again && a->sleepy ? a->sleepy * 2 : AWAKE_SLEEPY_NS;
	if (a->sleepy > AWAKE_SLEEPY_MAX_NS)
		a->sleepy = AWAKE_SLEEPY_MAX_NS;
	a->sleep_until = now + a->sleepy;
}

static uint64_t until(const struct awake *a, bool waits)
{
	if (waits)
		return a->asked + a_while(a);
	return a->dense && a->heard >= a->busy_until ? a->heard + a_while(a) : 0;
}

bool awake_stays(const struct awake *a, bool waits, uint64_t now)
{
	return now < until(a, waits) && now >= a->sleep_until;
}
