/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/mutate/trial.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CPU_SECONDS = 60, PATH_ROOM = 512, COMMAND_MAX = 2 * WORDS_MAX + 16 };

/* ---- processes ---- */

static void become(char *const *command, const char *log)
{
	const struct rlimit cpu = {.rlim_cur = CPU_SECONDS, .rlim_max = CPU_SECONDS + 5};
	const struct rlimit core = {0};
	const int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	setrlimit(RLIMIT_CPU, &cpu);
	setrlimit(RLIMIT_CORE, &core);
	if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
		_exit(126);
	execvp(command[0], command);
	_exit(127);
}

/* The status of waitpid; -1: it could not be started. */
static int run(char *const *command, const char *log)
{
	int status = -1;
	const pid_t pid = fork();
	if (!pid)
		become(command, log);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return status;
}

/* ---- building ---- */

static int write_mutant(const struct source *s, const struct site *site, const char *path)
{
	FILE *f = fopen(path, "w");
	if (!f)
		return -1;
	fwrite(s->text, 1, site->at, f);
	fputs(site->text, f);
	fputs(s->text + site->at + site->length, f);
	return fclose(f);
}

static int compile(const struct config *c, char *source, char *object, const char *log)
{
	char include[PATH_ROOM];
	snprintf(include, sizeof(include), "-I%s", c->root);
	char *command[] = {c->compiler, "-std=gnu17", "-O1",  "-w", "-D_GNU_SOURCE", include, "-c",
			   source,	"-o",	      object, NULL};
	return run(command, log);
}

static int append(char **command, int n, char *const *words)
{
	for (; *words; words++)
		command[n++] = *words;
	command[n] = NULL;
	return n;
}

static int link_stage(const struct config *c, const struct stage *stage, char *object,
		      char *program, const char *log)
{
	char *command[COMMAND_MAX] = {c->compiler, "-o", program, object, NULL};
	append(command, 4, stage->objects);
	return run(command, log);
}

static int run_stage(const struct stage *stage, char *program, const char *log)
{
	char *command[COMMAND_MAX] = {program, NULL};
	append(command, 1, stage->arguments);
	return run(command, log);
}

/* ---- a trial ---- */

static void last_line(const char *log, char *out, size_t room)
{
	char line[400];
	FILE *f = fopen(log, "r");
	*out = '\0';
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		/* What the simulator says of the first violation; else the end. */
		if (!strstr(out, "violated:") && *line)
			snprintf(out, room, "%.*s", (int)room - 1, line);
	}
	if (f)
		fclose(f);
}

static void explain(struct outcome *out, int status, const char *log)
{
	if (WIFSIGNALED(status))
		snprintf(out->text, sizeof(out->text), "%s", strsignal(WTERMSIG(status)));
	else
		last_line(log, out->text, sizeof(out->text));
}

/* Stages that share a program need not link it twice. */
static bool same_program(const struct config *c, int stage)
{
	return stage && c->stages[stage].objects[0] && c->stages[stage - 1].objects[0] &&
	       !strcmp(c->stages[stage].objects[0], c->stages[stage - 1].objects[0]);
}

static void run_stages(const struct config *c, char *object, char *program, const char *log,
		       struct outcome *out)
{
	for (int i = 0; i < c->n_stages; i++) {
		const struct stage *stage = &c->stages[i];
		if (!same_program(c, i) && link_stage(c, stage, object, program, log)) {
			out->verdict = MUTANT_INVALID;
			last_line(log, out->text, sizeof(out->text));
			return;
		}
		const int status = run_stage(stage, program, log);
		if (!status)
			continue;
		*out = (struct outcome){.verdict = MUTANT_CAUGHT, .stage = i};
		explain(out, status, log);
		return;
	}
	out->verdict = MUTANT_SURVIVED;
}

struct outcome trial_run(const struct config *c, const struct source *s, const char *file,
			 const struct site *site, int number)
{
	char source[PATH_ROOM], object[PATH_ROOM], program[PATH_ROOM], log[PATH_ROOM];
	struct outcome out = {.verdict = MUTANT_INVALID};
	snprintf(source, sizeof(source), "%s/%d-%s", c->work, number, file);
	snprintf(object, sizeof(object), "%s/%d.o", c->work, number);
	snprintf(program, sizeof(program), "%s/%d.bin", c->work, number);
	snprintf(log, sizeof(log), "%s/%d.log", c->work, number);
	if (!write_mutant(s, site, source) && !compile(c, source, object, log))
		run_stages(c, object, program, log, &out);
	else
		last_line(log, out.text, sizeof(out.text));
	unlink(source);
	unlink(object);
	unlink(program);
	unlink(log);
	return out;
}
