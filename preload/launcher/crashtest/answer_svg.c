// SPDX-License-Identifier: BSD-3-Clause
// answer_svg.c: the answer as a picture.
#include "answer.h"
#include "base/sys.h"

#define WIDTH 960
#define HEIGHT 240
#define LEFT 60
#define BOTTOM 40

static void svg_outcome(FILE *out, const struct dxs_outcome *outcome, double x, double step, unsigned most)
{
	double full = HEIGHT - 2.0 * BOTTOM, each = full / most;
	unsigned failed = (unsigned)__builtin_popcountll(outcome->failed);
	double wide = step > 3 ? step - 1 : step;

	fprintf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"#8fbc8f\"/>\n", x,
		HEIGHT - BOTTOM - each * outcome->tried, wide, each * (outcome->tried - failed));
	if (failed)
		fprintf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"#b22222\"/>\n", x,
			HEIGHT - BOTTOM - each * failed, wide, each * failed);
}

void dxs_answer_svg(FILE *out, const struct dxs_answer *answer)
{
	const struct dxs_findings *findings = answer->findings;
	uint64_t moments = answer->search->record->nr_moments, i;
	double step = (WIDTH - 2.0 * LEFT) / (double)dxs_max64(moments, 1);
	unsigned most = DXS_DRAW_COINS + answer->search->coins;

	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
		"font-size=\"13\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		WIDTH, HEIGHT);
	fprintf(out, "<text x=\"%d\" y=\"24\">%lu power cuts, %lu draws: %lu failed</text>\n", LEFT,
		(unsigned long)findings->nr, (unsigned long)findings->tried, (unsigned long)findings->failed);
	for (i = 0; i < findings->nr; i++)
		if (findings->outcome[i].tried)
			svg_outcome(out, &findings->outcome[i], LEFT + step * (double)(findings->outcome[i].moment - 1),
				    step, most);
	fprintf(out,
		"<path d=\"M%d %d V%d H%d\" fill=\"none\" stroke=\"black\"/>\n<text x=\"%d\" y=\"%d\">1</text>\n"
		"<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%lu</text>\n"
		"<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">moment of the cut</text>\n"
		"<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%u</text>\n"
		"<text x=\"%d\" y=\"%d\" fill=\"#b22222\">failed</text>\n"
		"<text x=\"%d\" y=\"%d\" fill=\"#2e6b2e\">survived</text>\n</svg>\n",
		LEFT, BOTTOM, HEIGHT - BOTTOM, WIDTH - LEFT, LEFT, HEIGHT - 18, WIDTH - LEFT, HEIGHT - 18,
		(unsigned long)moments, WIDTH / 2, HEIGHT - 18, LEFT - 6, BOTTOM + 8, most, WIDTH - LEFT - 150, 24,
		WIDTH - LEFT - 90, 24);
}
