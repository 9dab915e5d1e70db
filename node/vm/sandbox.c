/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ladder: priority -> limits -> no_new_privs -> namespaces, root -> capabilities, uid -> check
 * -> system calls. Each step needs a right that a later one gives up.
 */
#include "node/vm/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "node/vm/sandbox_calls.h"
#include "proto/base/log.h"
#include "proto/mac.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

enum { OWN_NAMESPACES = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP };

static bool restricted;

/* The last moment for what libraries read from files when first used. */
static int prepare_libraries(struct err *e)
{
	tzset();
	return mac_prepare() ? ERR_OK : err_set(e, ERR_SYS, "libcrypto does not work");
}

static int set_limits(struct err *e)
{
	static const struct {
		int what;
		rlim_t most;
	} limits[] = {
		{RLIMIT_CORE, 0},
		{RLIMIT_MEMLOCK, 0},
		{RLIMIT_MSGQUEUE, 0},
		{RLIMIT_NOFILE, SANDBOX_FDS},
		{RLIMIT_FSIZE, SANDBOX_LOG_BYTES},
	};

	signal(SIGXFSZ, SIG_IGN); /* a log that is full is no reason to die */
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rlimit limit;

		if (getrlimit(limits[i].what, &limit))
			return err_sys(e, errno, "limit %d", limits[i].what);
		if (limit.rlim_max > limits[i].most)
			limit.rlim_max = limits[i].most;
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(limits[i].what, &limit))
			return err_sys(e, errno, "limit %d", limits[i].what);
	}
	return ERR_OK;
}

/* ---- namespaces and root ---- */

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	close(fd);
	return n < 0 ? -1 : 0;
}

/* A user namespace in which this user is itself (user_namespaces(7)); what lies beyond does not
 * change. Its files in /proc belong to it only while it may be dumped. */
static int own_user_namespace(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char map[64];

	if (unshare(CLONE_NEWUSER))
		return -1;
	prctl(PR_SET_DUMPABLE, 1);
	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	if (write_text("/proc/self/uid_map", map) || write_text("/proc/self/setgroups", "deny"))
		return -1;
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	return write_text("/proc/self/gid_map", map);
}

/* /dev is the one directory known to exist: it holds /dev/kvm. */
static int empty_root(void)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/dev", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "size=4k,nr_inodes=2") ||
	    chdir("/dev"))
		return -1;
	if (mount(NULL, "/dev", NULL,
		  MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return -1;
	/* The old root ends up on top of the new one (pivot_root(2), "pivot_root(".", ".")"). */
	if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH))
		return -1;
	return chdir("/");
}

static bool no_right(int errnum)
{
	return errnum == EPERM || errnum == EACCES || errnum == ENOSPC || errnum == ENOSYS;
}

static int leave_the_files(bool *left, struct err *e)
{
	*left = false;
	if (unshare(OWN_NAMESPACES) && (own_user_namespace() || unshare(OWN_NAMESPACES))) {
		if (!no_right(errno))
			return err_sys(e, errno, "cannot make namespaces");
		log_warning("sandbox: no right to namespaces: the root directory stays");
		return ERR_OK;
	}
	if (empty_root())
		return err_sys(e, errno, "cannot take an empty root directory");
	*left = true;
	return ERR_OK;
}

/* ---- capabilities and uid ---- */

static void drop_bounding(void)
{
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (unsigned long i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		prctl(PR_CAPBSET_DROP, i, 0, 0, 0); /* without CAP_SETPCAP no_new_privs does */
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	return (int)syscall(SYS_capset, &head, none);
}

static int become(uid_t uid, struct err *e)
{
	if (!uid)
		return ERR_OK;
	if (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		return err_sys(e, errno, "cannot become uid %u", uid);
	/* The change of the uid undid what celld asked for. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		return err_sys(e, errno, "cannot die with celld");
	return ERR_OK;
}

static int check_dropped(uid_t uid, struct err *e)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct has[_LINUX_CAPABILITY_U32S_3] = {{0}};
	uid_t real, effective, saved;

	if (syscall(SYS_capget, &head, has) || getresuid(&real, &effective, &saved))
		return err_sys(e, errno, "cannot read the own rights");
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		if (has[i].permitted | has[i].effective | has[i].inheritable)
			return err_set(e, ERR_STATE, "capabilities are left");
	if (uid && (real != uid || effective != uid || saved != uid))
		return err_set(e, ERR_STATE, "the uid is %u/%u/%u, not %u", real, effective, saved,
			       uid);
	return ERR_OK;
}

static int drop_rights(uid_t uid, struct err *e)
{
	int rc;

	drop_bounding();
	if ((rc = become(uid, e)))
		return rc;
	if (drop_capabilities())
		return err_sys(e, errno, "cannot drop capabilities");
	return check_dropped(uid, e);
}

/* ---- */

int sandbox_enter(const struct sandbox *s, struct err *e)
{
	bool left;
	int rc;

	if (s->off || SANITIZED) {
		log_warning("sandbox: off%s", s->off ? "" : ", in a build with a sanitizer");
		return ERR_OK;
	}
	if (unshare(CLONE_THREAD)) /* changes nothing; EINVAL if there are other threads */
		return err_set(e, ERR_STATE, "the sandbox wants a single thread");
	setpriority(PRIO_PROCESS, 0, -20); /* see sandbox_common_priority; works without, too */
	if ((rc = prepare_libraries(e)) || (rc = set_limits(e)))
		return rc;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return err_sys(e, errno, "no_new_privs");
	if ((rc = leave_the_files(&left, e)) || (rc = drop_rights(s->uid, e)))
		return rc;
	log_info("sandbox: uid %u, no capabilities, %s, %u system calls", geteuid(),
		 left ? "empty root" : "root as it was", calls_count());
	if ((rc = calls_restrict(e)))
		return rc;
	restricted = true;
	return ERR_OK;
}

int sandbox_connected(struct err *e)
{
	return restricted ? calls_restrict_connected(e) : ERR_OK;
}

void sandbox_common_priority(void)
{
	if (restricted)
		setpriority(PRIO_PROCESS, 0, 0);
}

void sandbox_list(FILE *out)
{
	calls_list(out);
}
