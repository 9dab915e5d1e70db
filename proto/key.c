/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_DIGITS = 2 * CELL_KEY_BYTES };

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool parse(const char *text, ssize_t len, uint8_t key[CELL_KEY_BYTES])
{
	if (len != KEY_DIGITS && !(len == KEY_DIGITS + 1 && text[KEY_DIGITS] == '\n'))
		return false;
	for (int i = 0; i < CELL_KEY_BYTES; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		key[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

int key_file_read(const char *path, uint8_t key[CELL_KEY_BYTES], struct err *e)
{
	char text[KEY_DIGITS + 2];
	struct stat st;
	ssize_t len = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), errnum;

	if (fd < 0)
		return err_sys(e, errno, "cannot read the key file %s", path);
	st.st_mode = 0;
	if (fstat(fd, &st) == 0)
		len = read(fd, text, sizeof(text));
	errnum = errno;
	close(fd);
	if (len < 0 && errnum != EISDIR && errnum != EAGAIN)
		return err_sys(e, errnum, "cannot read the key file %s", path);
	if (!S_ISREG(st.st_mode) || len < 0 || !parse(text, len, key))
		return err_set(e, ERR_INVALID, "%s is not a key file: it must hold %d hex digits",
			       path, KEY_DIGITS);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return err_set(e, ERR_INVALID,
			       "others than its owner may use the key file %s (chmod 600 it)",
			       path);
	return ERR_OK;
}

static int write_new(const char *path, struct err *e)
{
	uint8_t key[CELL_KEY_BYTES];
	char text[KEY_DIGITS + 2];
	int fd, errnum = 0;

	if (getrandom(key, sizeof(key), 0) != sizeof(key))
		return err_sys(e, errno, "cannot draw a key");
	for (int i = 0; i < CELL_KEY_BYTES; i++)
		snprintf(text + 2 * i, 4, "%02x\n", key[i]);
	/* One left by a killed process of the same pid: in a container pids come again. */
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, errno, "cannot make the key file %s", path);
	errno = EIO;
	if (write(fd, text, KEY_DIGITS + 1) != KEY_DIGITS + 1 || fsync(fd) != 0)
		errnum = errno;
	close(fd);
	if (!errnum)
		return ERR_OK;
	unlink(path);
	return err_sys(e, errnum, "cannot write the key file %s", path);
}

int key_file_make(const char *path, uint8_t key[CELL_KEY_BYTES], struct err *e)
{
	char draft[4096];
	int ret;

	if (access(path, F_OK) == 0 || errno != ENOENT)
		return key_file_read(path, key, e);
	if (snprintf(draft, sizeof(draft), "%s.%ld", path, (long)getpid()) >= (int)sizeof(draft))
		return err_set(e, ERR_TOOBIG, "the path of the key file is too long");
	ret = write_new(draft, e);
	if (ret)
		return ret;
	/* link, not rename: whoever comes second finds the first one's key and takes that. */
	if (link(draft, path) != 0 && errno != EEXIST)
		ret = err_sys(e, errno, "cannot make the key file %s", path);
	unlink(draft);
	return ret ? ret : key_file_read(path, key, e);
}
