#version 330 core
// Samples to pixels: light is averaged; the commonest label wins and brings its depth.

uniform sampler2D colours;
uniform usampler2D labels;
uniform sampler2D depths;
uniform int samples;
uniform vec2 range;  // nearest and farthest depth

layout(location = 0) out vec4 out_colour;
layout(location = 1) out vec2 out_truth;

void main() {
    ivec2 base = ivec2(gl_FragCoord.xy) * samples;
    vec4 sum = vec4(0.0);
    uint best = 0u;
    float depth = 1.0;
    int most = 0;
    for (int k = 0; k < samples * samples; ++k) {
        ivec2 at = base + ivec2(k % samples, k / samples);
        sum += min(texelFetch(colours, at, 0), vec4(4.0));  // one glint must not fill the pixel
        uint own = texelFetch(labels, at, 0).r;
        int count = 0;
        for (int j = 0; j < samples * samples; ++j)
            count += int(texelFetch(labels, base + ivec2(j % samples, j / samples), 0).r == own);
        if (count > most) {
            most = count;
            best = own;
            depth = texelFetch(depths, at, 0).r;
        }
    }
    float metric = 2.0 * range.y * range.x
        / (range.y + range.x - (2.0 * depth - 1.0) * (range.y - range.x));
    out_colour = sum / float(samples * samples);
    out_truth = vec2(float(best), best == 0u ? 0.0 : metric);
}
