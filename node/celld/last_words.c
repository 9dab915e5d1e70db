/* SPDX-License-Identifier: Apache-2.0 */
#include "node/celld/last_words.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TAIL_BYTES = 1024 };

/* Last bytes of the file as a string, without line ends behind them. Returns the length. */
static size_t read_tail(const char *path, char out[TAIL_BYTES + 1])
{
	struct stat st;
	ssize_t n = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	out[0] = '\0';
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) == 0)
		n = pread(fd, out, TAIL_BYTES,
			  st.st_size > TAIL_BYTES ? st.st_size - TAIL_BYTES : 0);
	close(fd);
	while (n > 0 && (out[n - 1] == '\n' || out[n - 1] == '\r' || out[n - 1] == '\0'))
		n--;
	if (n < 0)
		n = 0;
	out[n] = '\0';
	return (size_t)n;
}

void last_words(const char *path, char out[LAST_WORDS_MAX])
{
	char tail[TAIL_BYTES + 1];
	size_t n = read_tail(path, tail);
	const char *newline = memrchr(tail, '\n', n);
	const char *line = newline ? newline + 1 : tail;

	n = strnlen(line, LAST_WORDS_MAX - 1);
	memcpy(out, line, n);
	out[n] = '\0';
}
