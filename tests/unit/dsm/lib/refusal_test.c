/* SPDX-License-Identifier: Apache-2.0 */
/* Every error of create, join and key_file that a caller can provoke, with its sentence. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crew.h"
#include "proto/base/clock.h"
#include "tests/unit/unit.h"

enum { SOON_MS = 600 };

static struct cdsm_options good(void)
{
	struct cdsm_options o = CDSM_OPTIONS;

	o.key = crew_key;
	return o;
}

/* With a sentence; and without a place for one it does the same. */
static void refuses(const struct cdsm_options *o, uint64_t bytes, int code, const char *says)
{
	struct cdsm_error why = {0};
	struct cdsm *c = NULL;

	CU_ASSERT_EQUAL(cdsm_create(o, bytes, &c, &why), code);
	CU_ASSERT_EQUAL(why.code, code);
	CU_ASSERT_PTR_NOT_NULL(strstr(why.text, says));
	if (!strstr(why.text, says))
		fprintf(stderr, "\n%s\n", why.text);
	CU_ASSERT_EQUAL(cdsm_create(o, bytes, &c, NULL), code);
	CU_ASSERT_PTR_NULL(c);
}

static void options_out_of_range(void)
{
	struct cdsm_options o;

	o = good(), o.size = 0, refuses(&o, 4096, CDSM_EINVAL, "CDSM_OPTIONS");
	o = good(), o.size = offsetof(struct cdsm_options, pin_limit),
	refuses(&o, 4096, CDSM_EINVAL, "CDSM_OPTIONS");
	o = good(), o.size = 1 << 20, refuses(&o, 4096, CDSM_EINVAL, "CDSM_OPTIONS");
	o = good(), o.key = NULL, refuses(&o, 4096, CDSM_EINVAL, "neither");
	o = good(), o.key_file = "x", refuses(&o, 4096, CDSM_EINVAL, "both");
	o = good(), o.members = 65, refuses(&o, 4096, CDSM_EINVAL, "65 members");
	o = good(), o.faults = 7, refuses(&o, 4096, CDSM_EUNSUPPORTED, "faults: 7");
	o = good(), o.address = (void *)4097, refuses(&o, 4096, CDSM_EINVAL, "0x1001");
	o = good(), o.listen = "nowhere", refuses(&o, 4096, CDSM_EINVAL, "nowhere");
	o = good(), o.listen = "192.0.2.1:0", refuses(&o, 4096, CDSM_EUNREACHABLE, "192.0.2.1");
	o = good(), refuses(&o, 0, CDSM_EINVAL, "0 pages");
	o = good(), refuses(&o, UINT64_MAX, CDSM_EINVAL, "pages");
}

/* A caller compiled against a later header, with fields that this version does not know. */
static void options_of_a_later_version(void)
{
	struct {
		struct cdsm_options known;
		uint64_t later;
	} o = {.known = good()};
	struct cdsm *c;

	if (!crew_can())
		return;
	o.known.size = sizeof(o);
	CU_ASSERT_EQUAL_FATAL(cdsm_create(&o.known, 4096, &c, NULL), CDSM_OK);
	cdsm_close(c);
	o.later = 1;
	refuses(&o.known, 4096, CDSM_EUNSUPPORTED, "does not know");
}

/* A caller compiled against the first header: what came later is not looked at. */
static void options_of_an_earlier_version(void)
{
	struct cdsm_options o = good();
	struct cdsm *c;

	if (!crew_can())
		return;
	o.size = offsetof(struct cdsm_options, cluster);
	o.name = (const char *)1;
	CU_ASSERT_EQUAL_FATAL(cdsm_create(&o, 4096, &c, NULL), CDSM_OK);
	cdsm_close(c);
}

static void key_files(void)
{
	char path[] = "/tmp/cdsm-key-XXXXXX", file[64];
	struct cdsm_options o = good();
	struct cdsm_error why;
	struct stat st;
	struct cdsm *c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(path));
	snprintf(file, sizeof(file), "%s/key", path);
	o.key = NULL;
	o.key_file = file;
	refuses(&o, 4096, CDSM_ENOTFOUND, file);
	CU_ASSERT_EQUAL(cdsm_key_file(file, &why), CDSM_OK);
	CU_ASSERT_EQUAL(cdsm_key_file(file, &why), CDSM_OK); /* it stays */
	CU_ASSERT(stat(file, &st) == 0 && (st.st_mode & 0777) == 0600 && st.st_size == 65);
	if (crew_can()) {
		CU_ASSERT_EQUAL_FATAL(cdsm_create(&o, 4096, &c, &why), CDSM_OK);
		cdsm_close(c);
	}
	chmod(file, 0644);
	refuses(&o, 4096, CDSM_EINVAL, "others than its owner");
	CU_ASSERT_EQUAL(cdsm_key_file(file, &why), CDSM_EINVAL);
	unlink(file);
	rmdir(path);
	CU_ASSERT_EQUAL(cdsm_key_file(file, &why), CDSM_ENOTFOUND);
}

static void a_port_in_use(void)
{
	struct cdsm_options o = good();
	struct cdsm *c;

	if (!crew_can())
		return;
	CU_ASSERT_EQUAL_FATAL(cdsm_create(&o, 4096, &c, NULL), CDSM_OK);
	o.listen = cdsm_address(c);
	refuses(&o, 4096, CDSM_EEXISTS, o.listen);
	cdsm_close(c);
}

static void join(const struct cdsm_options *o, const char *address, int code)
{
	struct cdsm_error why = {0};
	uint64_t began = clock_ms();
	struct cdsm *c = NULL;

	CU_ASSERT_EQUAL(cdsm_join(o, address, SOON_MS, &c, &why), why.code);
	if (code == CDSM_EUNREACHABLE && why.code == CDSM_ETIMEOUT)
		code = CDSM_ETIMEOUT; /* the time was over in the middle of a call */
	CU_ASSERT_EQUAL(why.code, code);
	CU_ASSERT_PTR_NULL(c);
	CU_ASSERT(clock_ms() - began < 5 * (uint64_t)SOON_MS);
	if (why.code != code)
		fprintf(stderr, "\n%s (space %u): %s\n", cdsm_error_name(why.code),
			(unsigned)o->space, why.text);
}

static void who_may_not_join(void)
{
	const unsigned char another[CDSM_KEY_BYTES] = "another key";
	struct cdsm_options o = good();
	struct cdsm *c;

	if (!crew_can())
		return;
	o.members = 1;
	CU_ASSERT_EQUAL_FATAL(cdsm_create(&o, 4096, &c, NULL), CDSM_OK);
	join(&o, cdsm_address(c), CDSM_EUNREACHABLE); /* alone for good, it does not listen */
	cdsm_close(c);
	o.members = 0;
	CU_ASSERT_EQUAL_FATAL(cdsm_create(&o, 4096, &c, NULL), CDSM_OK);
	join(&o, "nowhere", CDSM_EINVAL);
	join(&o, "127.0.0.1:1", CDSM_EUNREACHABLE);
	o.key = another;
	join(&o, cdsm_address(c), CDSM_EAUTH);
	o.key = crew_key;
	o.space = 5;
	join(&o, cdsm_address(c), CDSM_EUNREACHABLE); /* nobody of that space is there */
	o.size = 1;
	join(&o, cdsm_address(c), CDSM_EINVAL);
	CU_ASSERT_EQUAL(cdsm_check(c, NULL), CDSM_OK); /* nobody else noticed */
	cdsm_close(c);
}

static void numbers_run_out(void)
{
	struct cdsm_options o = good();
	struct cdsm *a, *b;

	if (!crew_can())
		return;
	o.members = 2;
	CU_ASSERT_EQUAL_FATAL(cdsm_create(&o, 4096, &a, NULL), CDSM_OK);
	CU_ASSERT_EQUAL_FATAL(cdsm_join(&o, cdsm_address(a), CREW_PATIENCE_MS, &b, NULL), CDSM_OK);
	join(&o, cdsm_address(a), CDSM_ENOSPACE);
	CU_ASSERT_EQUAL(cdsm_leave(b, CREW_PATIENCE_MS, NULL), CDSM_OK);
	cdsm_close(b);
	join(&o, cdsm_address(a), CDSM_ENOSPACE); /* no number is used twice */
	cdsm_close(a);
}

static void names_of_errors(void)
{
	CU_ASSERT_STRING_EQUAL(cdsm_error_name(CDSM_OK), "CDSM_OK");
	CU_ASSERT_STRING_EQUAL(cdsm_error_name(CDSM_ELOST), "CDSM_ELOST");
	CU_ASSERT_STRING_EQUAL(cdsm_error_name(CDSM_ENOSPACE), "CDSM_ENOSPACE");
	CU_ASSERT_STRING_EQUAL(cdsm_error_name(17), "?");
	CU_ASSERT_STRING_EQUAL(cdsm_error_name(-1), "?");
	CU_ASSERT_STRING_EQUAL(cdsm_error_name(1000), "?");
	CU_ASSERT_STRING_EQUAL(cdsm_version(), CELLULAR_VERSION);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(options_out_of_range),
		UNIT_CASE(options_of_a_later_version),
		UNIT_CASE(options_of_an_earlier_version),
		UNIT_CASE(key_files),
		UNIT_CASE(a_port_in_use),
		UNIT_CASE(who_may_not_join),
		UNIT_CASE(numbers_run_out),
		UNIT_CASE(names_of_errors),
	};

	return unit_main("cdsm refusal", cases, UNIT_COUNT(cases));
}
