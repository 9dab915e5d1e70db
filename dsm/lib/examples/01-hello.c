/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 01-hello: two processes, one memory.
 *
 *	./01-hello space.key 10.0.0.1:0			on one host: says where it listens
 *	./01-hello space.key 10.0.0.2:0 10.0.0.1:PORT	on another one, with the same key file
 *
 * Or by name, through the controller of a cluster; the same on both hosts, who comes first creates:
 *
 *	./01-hello --cluster tcp:10.0.0.1:7070 --key cluster.key --name letter [10.0.0.1:0]
 *
 * The first one creates a space and waits for a word in it; the second one joins and writes it.
 * Each answers the other by plain loads and stores: where the memory lies is the library's
 * business.
 */
#include <cellular/dsm.h>
#include <err.h>
#include <getopt.h>
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

static void receive(struct cdsm *space)
{
	struct letter *letter;

	printf("listening on %s\n", cdsm_address(space));
	fflush(stdout);
	letter = cdsm_map(space, NULL);
	await(space, &letter->written);
	printf("member %u reads: %s\n", cdsm_self(space), letter->text);
	atomic_store(&letter->answer, 42);
	leave(space); /* the letter moves to the other member */
}

static void send_letter(struct cdsm *space)
{
	struct letter *letter;

	letter = cdsm_map(space, NULL);
	snprintf(letter->text, sizeof(letter->text), "hello from member %u", cdsm_self(space));
	atomic_store(&letter->written, 1);
	await(space, &letter->answer);
	printf("member %u is answered: %d\n", cdsm_self(space), atomic_load(&letter->answer));
	leave(space);
}

/* address NULL: the space is found by its name. */
static void begin(const struct cdsm_options *options, const char *address, int may_join)
{
	int rc = address ? CDSM_EEXISTS : CDSM_OK;
	struct cdsm_error why;
	struct cdsm *space;

	if (!rc)
		rc = cdsm_create(options, sizeof(struct letter), &space, &why);
	if (!rc) {
		receive(space);
		return;
	}
	if (rc == CDSM_EEXISTS && may_join) /* somebody has created it */
		rc = cdsm_join(options, address, PATIENCE_MS, &space, &why);
	if (rc)
		errx(1, "%s", why.text);
	send_letter(space);
}

static int by_name(struct cdsm_options *options, int argc, char **argv)
{
	static const struct option words[] = {{"cluster", required_argument, NULL, 'c'},
					      {"key", required_argument, NULL, 'k'},
					      {"name", required_argument, NULL, 'n'},
					      {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "", words, NULL)) != -1) {
		if (c == 'c')
			options->cluster = optarg;
		else if (c == 'k')
			options->cluster_key_file = optarg;
		else if (c == 'n')
			options->name = optarg;
		else
			return 2;
	}
	if (optind < argc)
		options->listen = argv[optind];
	begin(options, NULL, 1);
	return 0;
}

int main(int argc, char **argv)
{
	struct cdsm_options options = CDSM_OPTIONS;
	struct cdsm_error why;

	if (argc > 1 && argv[1][0] == '-')
		return by_name(&options, argc, argv);
	if (argc < 3 || argc > 4)
		errx(2, "usage: %s KEY-FILE LISTEN-ADDRESS [ADDRESS-OF-THE-FIRST]", argv[0]);
	if (cdsm_key_file(argv[1], &why)) /* made if it is missing */
		errx(1, "%s", why.text);
	options.key_file = argv[1];
	options.listen = argv[2];
	begin(&options, argv[3], argc == 4);
	return 0;
}
