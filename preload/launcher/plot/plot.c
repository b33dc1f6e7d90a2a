// SPDX-License-Identifier: BSD-3-Clause
// plot.c: `daxsync plot` draws what other commands have written as JSON.
#include "plot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "gnuplot.h"
#include "launcher.h"

static const char help[] =
	"Usage: daxsync plot FILE.json [-o OUT.svg]\n"
	"\n"
	"Draws, as SVG, what \"daxsync crashtest --json\", \"daxsync run --stats\" or \"daxsync stat\" has\n"
	"written: the power cuts and what the check said of each; or what became of syncs and pages, how long\n"
	"syncs took, and the files. Needs gnuplot.\n"
	"\n"
	"Options:\n"
	"  --output=FILE\n"
	"        where to (-o); - is standard output. The default is FILE.svg, beside FILE.json.\n"
	"  --help\n"
	"        print this\n"
	"\n"
	"Exit status: 0; 1 if the file holds nothing that can be drawn; 125 for a wrong argument, or if the file\n"
	"cannot be read, gnuplot is missing, or the picture cannot be written.\n";

static const struct kind {
	const char *key; // that only this one has
	enum dxs_value_kind kind;
	void (*draw)(struct dxs_plot *plot, const struct dxs_value *value);
} kinds[] = {
	{"cuts", DXS_ARRAY, dxs_plot_cuts},
	{"sync_ns", DXS_OBJECT, dxs_plot_served},
};

static const struct dxs_value *need(struct dxs_plot *plot, const struct dxs_value *object, const char *key,
				    enum dxs_value_kind kind)
{
	static const char *const names[] = {"null", "false", "true", "number", "text", "list", "object"};
	const struct dxs_value *value = dxs_value_of(object, key);

	if (value && value->kind == kind)
		return value;
	if (!plot->has_failed)
		dxs_error("%s: \"%s\" is no %s, or is missing", plot->name, key, names[kind]);
	plot->has_failed = true;
	return NULL;
}

double dxs_plot_number(struct dxs_plot *plot, const struct dxs_value *object, const char *key)
{
	const struct dxs_value *value = need(plot, object, key, DXS_NUMBER);

	if (!value || value->number >= 0)
		return value ? value->number : 0;
	if (!plot->has_failed)
		dxs_error("%s: \"%s\" is below 0", plot->name, key);
	plot->has_failed = true;
	return 0;
}

const char *dxs_plot_text(struct dxs_plot *plot, const struct dxs_value *object, const char *key)
{
	const struct dxs_value *value = need(plot, object, key, DXS_STRING);

	return value ? value->text : "";
}

const struct dxs_value *dxs_plot_list(struct dxs_plot *plot, const struct dxs_value *object, const char *key)
{
	const struct dxs_value *value = need(plot, object, key, DXS_ARRAY);

	return value ? value->first : NULL;
}

const struct dxs_value *dxs_plot_object(struct dxs_plot *plot, const struct dxs_value *object, const char *key)
{
	return need(plot, object, key, DXS_OBJECT);
}

void dxs_plot_begin(struct dxs_plot *plot, int width, int height)
{
	fprintf(plot->script,
		"set terminal svg size %d,%d noenhanced font 'sans-serif,13' background rgb 'white'\n"
		"set encoding utf8\nset multiplot\n",
		width, height);
}

void dxs_plot_panel(struct dxs_plot *plot, double left, double right, double bottom, double top)
{
	fprintf(plot->script,
		"reset\nset lmargin at screen %.3f\nset rmargin at screen %.3f\n"
		"set bmargin at screen %.3f\nset tmargin at screen %.3f\nset border 3\nset tics nomirror out scale "
		"0.5\nunset "
		"key\n",
		left, right, bottom, top);
}

double dxs_plot_step(double most, double nr)
{
	static const double steps[] = {1, 2, 5};
	double unit = 1;
	size_t i = 0;

	while (most > nr * unit * steps[i]) {
		i = (i + 1) % (sizeof(steps) / sizeof(steps[0]));
		if (!i)
			unit *= 10;
	}
	return unit * steps[i];
}

static int draw(const struct kind *kind, const char *name, const struct dxs_value *value, const char *out)
{
	struct dxs_plot plot = {.name = name};
	char *script = NULL;
	size_t len = 0;
	int err;

	plot.script = open_memstream(&script, &len);
	if (!plot.script) {
		dxs_error("%s: %s", name, strerrordesc_np(errno));
		return -ENOMEM;
	}
	kind->draw(&plot, value);
	err = fclose(plot.script) ? -ENOMEM : plot.has_failed ? -EINVAL : 0;
	if (err == -ENOMEM)
		dxs_error("%s: %s", name, strerrordesc_np(ENOMEM));
	if (!err)
		err = dxs_gnuplot_run(script, len, out);
	free(script);
	return err;
}

int dxs_plot_draw(const char *name, char *text, size_t len, const char *out)
{
	struct dxs_json_error error;
	struct dxs_value *value = dxs_json_read(text, len, &error);
	int ret = -EINVAL;
	size_t i;

	if (!value) {
		dxs_error("%s: line %lu, byte %lu: %s", name, (unsigned long)error.line, (unsigned long)error.byte,
			  error.cause);
		return -EINVAL;
	}
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct dxs_value *mark = dxs_value_of(value, kinds[i].key);

		if (mark && mark->kind == kinds[i].kind)
			break;
	}
	if (i < sizeof(kinds) / sizeof(kinds[0]))
		ret = draw(&kinds[i], name, value, out);
	else
		dxs_error("%s: neither a crash test's answer nor statistics", name);
	free(value);
	return ret;
}

// All of it and a NUL. NULL after one line on stderr. A FIFO or a device could keep us, or never end.
static char *read_file(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st = {0};
	char *text = NULL;
	ssize_t ret = 0;
	int err = fd < 0 || fstat(fd, &st) ? errno : 0;

	if (!err && !S_ISREG(st.st_mode))
		err = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	if (!err && (size_t)st.st_size > DXS_JSON_BYTES)
		err = EFBIG;
	if (!err) {
		text = malloc((size_t)st.st_size + 1);
		err = text ? 0 : ENOMEM;
	}
	for (*len = 0; !err && *len < (size_t)st.st_size; *len += (size_t)ret) {
		ret = read(fd, text + *len, (size_t)st.st_size - *len);
		if (ret <= 0) {
			err = ret ? errno : 0;
			break;
		}
	}
	if (fd >= 0)
		close(fd);
	if (!err) {
		text[*len] = '\0';
		return text;
	}
	free(text);
	dxs_error("%s: %s", path, err == EINVAL ? "not a regular file" : strerrordesc_np(err));
	return NULL;
}

// -1: wrong, after one line on stderr; 1: help was asked for.
static int take_options(char **argv, const char **file, const char **out)
{
	for (; *argv; argv++) {
		const char *option = *argv;

		if (!strcmp(option, "--help") || !strcmp(option, "-h"))
			return 1;
		if ((!strcmp(option, "-o") || !strcmp(option, "--output")) && argv[1]) {
			*out = *++argv;
		} else if (!strncmp(option, "--output=", 9) && option[9]) {
			*out = option + 9;
		} else if (*option == '-') {
			dxs_error("%s is no option of \"daxsync plot\", or lacks its value (\"daxsync plot --help\" "
				  "lists them)",
				  option);
			return -1;
		} else if (*file) {
			dxs_error("one file is drawn, and %s is another (\"daxsync plot --help\" tells more)", option);
			return -1;
		} else {
			*file = option;
		}
	}
	if (*file)
		return 0;
	dxs_error("no file is given (\"daxsync plot --help\" tells more)");
	return -1;
}

// FILE.svg for FILE.json, or any other FILE.
static void name_picture(const char *file, char path[PATH_MAX])
{
	size_t len = strlen(file);

	if (len > 5 && !strcmp(file + len - 5, ".json"))
		len -= 5;
	snprintf(path, PATH_MAX, "%.*s.svg", (int)len, file);
}

int dxs_cmd_plot(char **argv)
{
	const char *file = NULL, *out = NULL;
	int ret = take_options(argv, &file, &out);
	char path[PATH_MAX], *text;
	size_t len;

	if (ret > 0) {
		fputs(help, stdout);
		return 0;
	}
	if (ret)
		return DXS_EXIT_ERROR;
	text = read_file(file, &len);
	if (!text)
		return DXS_EXIT_ERROR;
	name_picture(file, path);
	ret = dxs_plot_draw(file, text, len, out ? out : path);
	free(text);
	return ret == -EINVAL ? DXS_EXIT_NOT_SERVED : ret ? DXS_EXIT_ERROR : 0;
}
