// Samples to pixels: light is averaged; the commonest label wins and brings its depth.

uniform sampler2D colours;
uniform usampler2D labels;
uniform sampler2D depths;
uniform vec2 range;  // nearest and farthest depth

layout(location = 0) out vec4 out_colour;
layout(location = 1) out vec2 out_truth;

const int COUNT = SAMPLES * SAMPLES;

void main() {
    ivec2 base = ivec2(gl_FragCoord.xy) * SAMPLES;
    vec4 sum = vec4(0.0);
    uint own[COUNT];
    float depth[COUNT];
    for (int k = 0; k < COUNT; ++k) {
        ivec2 at = base + ivec2(k % SAMPLES, k / SAMPLES);
        sum += min(texelFetch(colours, at, 0), vec4(4.0));  // one glint must not fill the pixel
        own[k] = texelFetch(labels, at, 0).r;
        depth[k] = texelFetch(depths, at, 0).r;
    }
    int most = 0;
    uint best = 0u;
    float clip = 1.0;
    for (int k = 0; k < COUNT; ++k) {
        int count = 0;
        for (int j = 0; j < COUNT; ++j) count += int(own[j] == own[k]);
        if (count > most) {
            most = count;
            best = own[k];
            clip = depth[k];
        }
    }
    float metric = 2.0 * range.y * range.x
        / (range.y + range.x - (2.0 * clip - 1.0) * (range.y - range.x));
    out_colour = sum / float(COUNT);
    out_truth = vec2(float(best), best == 0u ? 0.0 : metric);
}
