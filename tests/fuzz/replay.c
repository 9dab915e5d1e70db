/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target without a fuzzing engine: seeds of the target, files and directories of the
 * command line, and mutations of both, drawn from a seed, so that a failing run repeats.
 *
 *   replay-NAME [--mutate N] [--seed S] [--write DIR] [FILE|DIR]...
 *
 * --write makes the seeds files of DIR (a first corpus for libFuzzer) and runs nothing. When the
 * target dies, the input is left in replay-crash.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "tests/fuzz/fuzz.h"

enum {
	INPUTS_MAX = 4096,
	INPUT_BYTES_MAX = 1 << 20,
	CHANGES_MAX = 6, /* of one mutation */
	GROWTH_MAX = 256,
};

struct input {
	uint8_t *data;
	size_t size;
};

static struct input inputs[INPUTS_MAX];
static int n_inputs;
static struct input current; /* for the signal handler */

/* The target may do without. */
void __attribute__((weak)) fuzz_seeds(fuzz_put put)
{
	(void)put;
}

/* ASan's reports end in SIGABRT, too. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "abort_on_error=1";
}

static void add(const void *data, size_t size)
{
	struct input *in = &inputs[n_inputs];

	if (n_inputs == INPUTS_MAX || size > INPUT_BYTES_MAX)
		return;
	in->data = malloc(size + 1);
	if (!in->data)
		abort();
	memcpy(in->data, data, size);
	in->size = size;
	n_inputs++;
}

static void add_file(const char *path)
{
	char *bytes;
	size_t n;
	struct err e;

	if (fd_read_file(path, INPUT_BYTES_MAX, &bytes, &n, &e)) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
	add(bytes, n);
	free(bytes);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void add_path(const char *path)
{
	struct dirent **entries;
	int n = scandir(path, &entries, NULL, by_name);

	if (n < 0) {
		add_file(path);
		return;
	}
	for (int i = 0; i < n; i++) {
		char file[4096];

		snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			add_file(file);
		free(entries[i]);
	}
	free(entries);
}

/* ---- running ---- */

static void on_death(int signal)
{
	int fd = open("replay-crash", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	static const char text[] = "the input is left in replay-crash\n";

	if (fd >= 0 && write(fd, current.data, current.size) >= 0 &&
	    write(STDERR_FILENO, text, sizeof(text) - 1) >= 0)
		close(fd);
	raise(signal); /* the handler is reset: this ends the process */
}

/* From memory of exactly its size, so that a sanitizer sees every byte read beyond. */
static void run(const uint8_t *data, size_t size)
{
	current.data = malloc(size ? size : 1);
	if (!current.data)
		abort();
	memcpy(current.data, data, size);
	current.size = size;
	LLVMFuzzerTestOneInput(current.data, size);
	free(current.data);
	current = (struct input){0};
}

/* splitmix64 */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static void change(uint8_t *data, size_t *size, size_t room, uint64_t *state)
{
	static const uint64_t edges[] = {0,	 1,	 0x7f,	     0x80,	 0xff,
					 0x7fff, 0xffff, 0x7fffffff, 0xffffffff, UINT64_MAX};
	size_t at = *size ? draw(state) % *size : 0, n;
	const struct input *other;

	switch (draw(state) % 7) {
	case 0: /* a bit */
		if (*size)
			data[at] ^= (uint8_t)(1 << draw(state) % 8);
		break;
	case 1: /* a byte */
		if (*size)
			data[at] = (uint8_t)draw(state);
		break;
	case 2: /* a number at its edge */
		n = (size_t)1 << draw(state) % 4;
		if (*size - at >= n)
			memcpy(data + at, &edges[draw(state) % (sizeof(edges) / sizeof(edges[0]))],
			       n);
		break;
	case 3: /* cut */
		*size = at;
		break;
	case 4: /* take bytes out */
		n = draw(state) % (*size - at + 1);
		memmove(data + at, data + at + n, *size - at - n);
		*size -= n;
		break;
	case 5: /* repeat bytes */
		n = draw(state) % (*size - at + 1);
		n = n < room - *size ? n : room - *size;
		memmove(data + at + n, data + at, *size - at);
		*size += n;
		break;
	default: /* a piece of another input */
		other = &inputs[draw(state) % (uint64_t)n_inputs];
		n = other->size < *size - at ? other->size : *size - at;
		n = draw(state) % (n + 1);
		memcpy(data + at, other->data + (other->size - n), n);
	}
}

static void run_mutation(uint64_t *state)
{
	const struct input *in = &inputs[draw(state) % (uint64_t)n_inputs];
	size_t size = in->size, room = in->size + GROWTH_MAX;
	uint8_t *data = malloc(room);

	if (!data)
		abort();
	memcpy(data, in->data, size);
	for (uint64_t i = 1 + draw(state) % CHANGES_MAX; i; i--)
		change(data, &size, room, state);
	run(data, size);
	free(data);
}

/* ---- the command line ---- */

static int write_seeds(const char *directory)
{
	if (mkdir(directory, 0777) < 0 && errno != EEXIST) {
		perror(directory);
		return 1;
	}
	for (int i = 0; i < n_inputs; i++) {
		char path[4096];
		FILE *f;

		snprintf(path, sizeof(path), "%s/seed-%d", directory, i);
		f = fopen(path, "wb");
		if (!f || fwrite(inputs[i].data, 1, inputs[i].size, f) != inputs[i].size ||
		    fclose(f)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}

static int run_all(uint64_t mutations, uint64_t seed)
{
	static const int deaths[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
	uint64_t state = seed;

	if (!n_inputs) {
		fprintf(stderr, "neither seeds nor files\n");
		return 1;
	}
	for (size_t i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++)
		sigaction(
			deaths[i],
			&(struct sigaction){.sa_handler = on_death, .sa_flags = (int)SA_RESETHAND},
			NULL);
	for (int i = 0; i < n_inputs; i++)
		run(inputs[i].data, inputs[i].size);
	for (uint64_t i = 0; i < mutations; i++)
		run_mutation(&state);
	printf("%d inputs, %llu mutations of seed %llu\n", n_inputs, (unsigned long long)mutations,
	       (unsigned long long)seed);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t mutations = 0, seed = 1;
	const char *directory = NULL;

	fuzz_seeds(add);
	for (int i = 1; i < argc; i++) {
		bool has_value = i + 1 < argc;

		if (!strcmp(argv[i], "--mutate") && has_value)
			mutations = strtoull(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--seed") && has_value)
			seed = strtoull(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--write") && has_value)
			directory = argv[++i];
		else
			add_path(argv[i]);
	}
	return directory ? write_seeds(directory) : run_all(mutations, seed);
}
