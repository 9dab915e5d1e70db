/* SPDX-License-Identifier: Apache-2.0 */
/* Small texts that people, files and peers hand in: addresses, sizes, names, sentences. The input
 * is tried as each of them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/address.h"
#include "proto/base/size.h"
#include "proto/base/text.h"
#include "proto/ids.h"
#include "proto/link_address.h"
#include "tests/fuzz/fuzz.h"

enum { ROOM = 48 };

static void try_address(const char *text)
{
	char again[ADDRESS_TEXT_MAX];
	struct address a, b;

	if (address_parse(text, &a, NULL))
		return;
	assert(a.length <= sizeof(a.storage));
	if (address_format(&a, again, sizeof(again), NULL))
		return; /* a scope may have no name */
	assert(address_parse(again, &b, NULL) == ERR_OK && a.length == b.length);
}

static void try_link_address(const char *text)
{
	struct link_address a;
	struct err e = {0};

	if (link_address_parse(text, &a, &e))
		assert(e.code == ERR_INVALID && e.text[0]);
	else if (a.local)
		assert(!strcmp(a.un.sun_path, text + strlen("unix:")));
}

static void try_size(const char *text)
{
	char again[SIZE_TEXT_MAX];
	uint64_t bytes;

	if (size_parse(text, &bytes, NULL))
		return;
	assert(bytes <= INT64_MAX);
	assert(strlen(size_format(bytes, again)) < SIZE_TEXT_MAX);
}

static void check_escaped(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		assert(*p >= 0x20 && *p != 0x7f);
}

static void try_text(const char *text)
{
	char cut[ROOM], *whole = text_escape_dup(text);

	assert(whole);
	check_escaped(whole);
	check_escaped(text_escape(text, cut, sizeof(cut)));
	assert(strlen(cut) < sizeof(cut));
	if (name_valid(text))
		assert(strlen(text) < CELL_NAME_MAX && !strcmp(whole, text));
	free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	assert(text);
	memcpy(text, data, size);
	text[size] = '\0';
	try_address(text);
	try_link_address(text);
	try_size(text);
	try_text(text);
	free(text);
	return 0;
}

void fuzz_seeds(fuzz_put put)
{
	static const char long_path[] =
		"unix:/a/path/that/does/not/fit/into/the/address/of/a/unix/socket/which/has/room/"
		"for/a/hundred/and/eight/bytes/at/most";
	static const char *const texts[] = {
		"10.0.0.1:4711",
		"[fe80::1]:0",
		"[::1]:65535",
		"[::1]",
		"::1:5",
		"1.2.3.4:",
		"1.2.3.4:65536",
		":1",
		"tcp:127.0.0.1:0",
		"tcp:nonsense",
		"unix:/run/ctl.sock",
		"unix:",
		"udp:1",
		long_path,
		"256MiB",
		"1 GiB",
		"4096B",
		"9 TiB",
		"99999999999999999999",
		"9999999999 TiB",
		"5MB",
		"cell0",
		".hidden",
		"a sentence with \x1b[31m colour, \xc3\xa4, \xe2\x80\xae, \xf0\x9f\x98\x80, \xff",
		"\xed\xa0\x80\xc0\x80",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		put(texts[i], strlen(texts[i]));
}
