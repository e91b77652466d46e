#include <ATen/ATen.h>
#include <chrono>
#include <iostream>
#include "base/error.h"
#include "base/text.h"
#include "model/backbone.h"
using namespace cachectl;
int main(int argc, char** argv) {
  model::BackboneOptions o; o.path = argv[1]; std::vector<int64_t> shape{4};
  if (argc > 3) o.names = argv[3];
  for (auto& w : text::split(argv[2], 'x')) shape.push_back(std::stoll(w));
  try {
    auto t0 = std::chrono::steady_clock::now();
    at::Tensor x = at::randn(shape);
    auto b = model::Backbone::load(o, {x});
    std::cerr << "load s " << std::chrono::duration<double>(std::chrono::steady_clock::now() - t0).count() << "\n";
    std::vector<std::string> names; double macs = 0; int64_t params = 0;
    for (auto& c : b->candidates()) { names.push_back(c.name); std::cout << c.name << " " << text::shape(c.shape) << " " << c.share_left() << " pos " << c.position << "\n"; }
    for (auto& c : b->costs()) { macs += c.macs; params += c.parameters; for (auto& [n, k] : c.uncounted) std::cout << "uncounted " << n << " " << k << "\n"; }
    std::cout << "macs " << macs / 1e9 << " G params " << params << " classes " << b->num_classes() << " " << model::name_of(b->output_kind()) << "\n";
    auto chain = b->cut(names);
    at::Tensor a = b->run({x}), c = chain.run({x});
    o.memory_format = "contiguous";
    auto plain = model::Backbone::load(o, {x});
    at::Tensor p = plain->run({x});
    std::cout << "fused diff " << (a - p).abs().max().item<float>() << "\n";
    auto best = [&](auto f, int n) { double m = 1e9; for (int i = 0; i < n; ++i) { auto t = std::chrono::steady_clock::now(); f(); m = std::min(m, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - t).count()); } return m; };
    if (getenv("TIME")) for (int64_t n : {1, 8, 32, 128}) {
      auto sh = shape; sh[0] = n; at::Tensor y = at::randn(sh); int r = std::max<int>(5, 100 / n);
      double f = best([&] { b->run({y}); }, r), g = best([&] { chain.run({y}); }, r), h = best([&] { plain->run({y}); }, r);
      std::cout << "batch " << n << " fused " << f << " cut " << g << " libtorch " << h << "\n";
    }
    std::cout << "diff " << (a - c).abs().max().item<float>() << " of " << a.abs().max().item<float>() << "\n";
  } catch (const Error& e) { std::cout << "exit " << int(e.code()) << ": " << e.what() << "\n"; return 1; }
}
