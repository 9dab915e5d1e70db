/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cellgen: input files for the programs, the same for the same seed on every machine.
 *
 *	cellgen grid --n N --seed S --out FILE
 *
 * writes a grid of N * N doubles in [0, 1), border included;
 *
 *	cellgen text --bytes B --seed S --out FILE
 *
 * words drawn by Zipf's law from a made-up vocabulary.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/guest/programs/input.h"

enum { VOCABULARY = 20000, WORD_LONGEST = 12, LINE = 72 };

struct options {
	uint64_t n, bytes, seed;
	const char *out;
};

/* splitmix64 (Steele, Lea, Flood, OOPSLA 2014). */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static bool write_grid(FILE *f, const struct options *o)
{
	struct grid_header h = {.magic = GRID_MAGIC, .n = o->n};
	uint64_t state = o->seed;

	if (fwrite(&h, sizeof(h), 1, f) != 1)
		return false;
	for (uint64_t i = 0; i < o->n * o->n; i++) {
		double v = (double)(draw(&state) >> 11) * 0x1p-53;

		if (fwrite(&v, sizeof(v), 1, f) != 1)
			return false;
	}
	return true;
}

struct vocabulary {
	char word[VOCABULARY][WORD_LONGEST + 1];
	uint64_t below[VOCABULARY]; /* sum of the weights up to and with this rank */
};

/* Weight of rank r is 1/r, in units of 2^-40: integers, so that no two machines round differently.
 */
static void make_vocabulary(struct vocabulary *v, uint64_t *state)
{
	uint64_t sum = 0;

	for (unsigned r = 0; r < VOCABULARY; r++) {
		unsigned length = 2 + (unsigned)(draw(state) % (WORD_LONGEST - 1));

		for (unsigned i = 0; i < length; i++)
			v->word[r][i] = (char)('a' + draw(state) % 26);
		v->word[r][length] = 0;
		v->below[r] = sum += (1ull << 40) / (r + 1);
	}
}

static const char *draw_word(const struct vocabulary *v, uint64_t *state)
{
	uint64_t at = draw(state) % v->below[VOCABULARY - 1];
	unsigned low = 0, high = VOCABULARY - 1;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (at < v->below[middle])
			high = middle;
		else
			low = middle + 1;
	}
	return v->word[low];
}

static bool write_text(FILE *f, const struct options *o)
{
	struct vocabulary *v = malloc(sizeof(*v));
	uint64_t state = o->seed, done = 0;
	unsigned column = 0;
	bool ok = v != NULL;

	if (v)
		make_vocabulary(v, &state);
	while (ok && done < o->bytes) {
		const char *word = draw_word(v, &state);
		size_t n = strlen(word);

		if (n > o->bytes - done)
			n = (size_t)(o->bytes - done);
		ok = fwrite(word, 1, n, f) == n;
		done += n;
		column += (unsigned)n + 1;
		if (ok && done < o->bytes) {
			ok = fputc(column >= LINE ? '\n' : ' ', f) != EOF;
			column = column >= LINE ? 0 : column;
			done++;
		}
	}
	free(v);
	return ok;
}

static int usage(void)
{
	fputs("usage: cellgen grid --n N --seed S --out FILE\n"
	      "       cellgen text --bytes B --seed S --out FILE\n",
	      stderr);
	return 2;
}

static bool number(const char *s, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(s, &end, 0);
	return *s >= '0' && *s <= '9' && !*end && !errno;
}

static bool parse(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
		{"n", required_argument, NULL, 'n'},
		{"bytes", required_argument, NULL, 'b'},
		{"seed", required_argument, NULL, 's'},
		{"out", required_argument, NULL, 'o'},
		{0},
	};
	bool seeded = false;
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == 'n' && number(optarg, &o->n))
			continue;
		if (c == 'b' && number(optarg, &o->bytes))
			continue;
		if (c == 's' && number(optarg, &o->seed)) {
			seeded = true;
			continue;
		}
		if (c != 'o')
			return false;
		o->out = optarg;
	}
	return seeded && o->out && optind == argc - 1;
}

int main(int argc, char **argv)
{
	struct options o = {0};
	bool grid, ok;
	FILE *f;

	if (!parse(argc, argv, &o))
		return usage();
	grid = !strcmp(argv[optind], "grid");
	if (grid ? o.n < GRID_N_MIN || o.n > GRID_N_MAX : strcmp(argv[optind], "text") || !o.bytes)
		return usage();
	f = fopen(o.out, "we");
	if (!f) {
		fprintf(stderr, "cellgen: %s: %s\n", o.out, strerror(errno));
		return 1;
	}
	ok = grid ? write_grid(f, &o) : write_text(f, &o);
	if (fclose(f) || !ok) {
		fprintf(stderr, "cellgen: %s: %s\n", o.out, strerror(errno));
		return 1;
	}
	return 0;
}
