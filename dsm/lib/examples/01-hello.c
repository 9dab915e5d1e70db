/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 01-hello: two processes, one memory.
 *
 *	./01-hello space.key 10.0.0.1:0			on one host: says where it listens
 *	./01-hello space.key 10.0.0.2:0 10.0.0.1:PORT	on another one, with the same key file
 *
 * The first one creates a space and waits for a word in it; the second one joins and writes it.
 * Each answers the other by plain loads and stores: where the memory lies is the library's
 * business.
 */
#include <cellular/dsm.h>
#include <err.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000 };

/* What the space holds. It begins as zeros. */
struct letter {
	char text[100];
	atomic_int written; /* stored after the text, so who reads it sees the text */
	atomic_int answer;
};

static void await(struct cdsm *space, const atomic_int *flag)
{
	struct cdsm_error why;

	while (!atomic_load(flag)) {
		if (cdsm_check(space, &why)) /* the other one may have died */
			errx(1, "%s", why.text);
		usleep(1000);
	}
}

static void leave(struct cdsm *space)
{
	struct cdsm_error why;

	if (cdsm_leave(space, PATIENCE_MS, &why))
		errx(1, "%s", why.text);
	cdsm_close(space);
}

static void receive(const struct cdsm_options *options)
{
	struct cdsm_error why;
	struct cdsm *space;
	struct letter *letter;

	if (cdsm_create(options, sizeof(struct letter), &space, &why))
		errx(1, "%s", why.text);
	printf("listening on %s\n", cdsm_address(space));
	fflush(stdout);
	letter = cdsm_map(space, NULL);
	await(space, &letter->written);
	printf("member %u reads: %s\n", cdsm_self(space), letter->text);
	atomic_store(&letter->answer, 42);
	leave(space); /* the letter moves to the other member */
}

static void send_letter(const struct cdsm_options *options, const char *address)
{
	struct cdsm_error why;
	struct cdsm *space;
	struct letter *letter;

	if (cdsm_join(options, address, PATIENCE_MS, &space, &why))
		errx(1, "%s", why.text);
	letter = cdsm_map(space, NULL);
	snprintf(letter->text, sizeof(letter->text), "hello from member %u", cdsm_self(space));
	atomic_store(&letter->written, 1);
	await(space, &letter->answer);
	printf("member %u is answered: %d\n", cdsm_self(space), atomic_load(&letter->answer));
	leave(space);
}

int main(int argc, char **argv)
{
	struct cdsm_options options = CDSM_OPTIONS;
	struct cdsm_error why;

	if (argc < 3 || argc > 4)
		errx(2, "usage: %s KEY-FILE LISTEN-ADDRESS [ADDRESS-OF-THE-FIRST]", argv[0]);
	if (cdsm_key_file(argv[1], &why)) /* made if it is missing */
		errx(1, "%s", why.text);
	options.key_file = argv[1];
	options.listen = argv[2];
	if (argc == 3)
		receive(&options);
	else
		send_letter(&options, argv[3]);
	return 0;
}
