#include "model/scopes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "base/text.h"

namespace cachectl::model {
namespace jit = torch::jit;
namespace {

using Path = std::vector<std::string>;

bool is_weighted(const jit::Node& node) {
  static const std::set<std::string> kinds = {"aten::conv1d",
                                              "aten::conv2d",
                                              "aten::conv3d",
                                              "aten::_convolution",
                                              "aten::convolution",
                                              "aten::conv_transpose1d",
                                              "aten::conv_transpose2d",
                                              "aten::conv_transpose3d",
                                              "aten::linear",
                                              "aten::addmm",
                                              "aten::mm",
                                              "aten::matmul",
                                              "aten::bmm",
                                              "aten::baddbmm",
                                              "aten::einsum",
                                              "aten::lstm",
                                              "aten::gru",
                                              "aten::rnn_tanh",
                                              "aten::rnn_relu",
                                              "aten::_native_multi_head_attention",
                                              "aten::_transformer_encoder_layer_fwd",
                                              "aten::scaled_dot_product_attention"};
  return kinds.count(node.kind().toQualString()) != 0;
}

// Operations that give the same values in another shape or place.
bool is_view(const jit::Node& node) {
  static const std::set<std::string> kinds = {"aten::flatten",
                                              "aten::view",
                                              "aten::reshape",
                                              "aten::squeeze",
                                              "aten::unsqueeze",
                                              "aten::permute",
                                              "aten::transpose",
                                              "aten::contiguous",
                                              "aten::detach",
                                              "aten::dropout",
                                              "aten::feature_dropout",
                                              "aten::alias",
                                              "aten::to",
                                              "aten::clone",
                                              "aten::t",
                                              "aten::type_as",
                                              "aten::expand",
                                              "aten::movedim",
                                              "prim::data"};
  return kinds.count(node.kind().toQualString()) != 0;
}

bool is_number(const std::string& word) {
  return !word.empty() && std::all_of(word.begin(), word.end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
}

struct Scope {
  int weights = 0;              // weighted operations in it and below
  std::set<std::string> parts;  // names of the modules in it
  bool sequence = false;        // nn.Sequential, or all parts numbered
};

class Scopes {
 public:
  explicit Scopes(const Dependencies& dependencies) {
    for (const jit::Node* node : dependencies.nodes()) {
      const Path path = module_path(*node);
      Path at;
      add(at, *node, path.empty() ? nullptr : &path[0]);
      for (std::size_t i = 0; i < path.size(); ++i) {
        at.push_back(path[i]);
        add(at, *node, i + 1 < path.size() ? &path[i + 1] : nullptr);
      }
    }
    for (auto& [path, scope] : scopes_) {
      scope.sequence =
          !scope.parts.empty() && std::all_of(scope.parts.begin(), scope.parts.end(), is_number);
    }
    // A model wrapped into another one: its first level is where the work divides.
    for (;;) {
      const Scope& scope = scopes_[root_];
      const std::string* only = nullptr;
      for (const auto& part : scope.parts) {
        if (scopes_.at(below(root_, part)).weights == scope.weights) only = &part;
      }
      if (!only || scope.weights < 2 || scopes_.at(below(root_, *only)).parts.empty()) break;
      root_.push_back(*only);
    }
  }

  int weights(const Path& path) const {
    const auto found = scopes_.find(path);
    return found == scopes_.end() ? 0 : found->second.weights;
  }
  // Operations of the model itself or of a first-level module, beside the blocks in it.
  bool is_first_level(const Path& path) const {
    return path.size() <= root_.size() || (path.size() == root_.size() + 1 && opened(path));
  }
  bool has_blocks(const Path& path) const { return blocks(path) != 0; }

  // Whether the parts of this module are worth naming.
  bool opened(const Path& path) const {
    if (path.size() < root_.size()) return std::equal(path.begin(), path.end(), root_.begin());
    if (path == root_) return true;
    const int count = blocks(path);
    if (count >= 2) return true;
    const auto found = scopes_.find(path);
    if (found == scopes_.end()) return false;
    if (count == 1) {
      for (const auto& part : found->second.parts) {
        const Path inner = below(path, part);
        if (weights(inner) >= 2) return opened(inner);
      }
    }
    return path.size() == root_.size() + 1 && found->second.sequence && found->second.weights >= 2;
  }

 private:
  static Path below(Path path, const std::string& part) {
    path.push_back(part);
    return path;
  }
  void add(const Path& path, const jit::Node& node, const std::string* part) {
    Scope& scope = scopes_[path];
    if (is_weighted(node)) ++scope.weights;
    if (part) scope.parts.insert(*part);
  }
  int blocks(const Path& path) const {
    const auto found = scopes_.find(path);
    if (found == scopes_.end()) return 0;
    int count = 0;
    for (const auto& part : found->second.parts) count += weights(below(path, part)) >= 2;
    return count;
  }

  std::map<Path, Scope> scopes_;
  Path root_;
};

// The modules that end with the value, outermost first.
std::vector<Path> ended(const Dependencies& dependencies, const Cut& cut) {
  const Path path = module_path(*dependencies.nodes()[cut.node]);
  std::size_t shared = 0;
  for (std::size_t i = 0; i < dependencies.nodes().size(); ++i) {
    const auto& uses = dependencies.uses(i);
    if (std::find(uses.begin(), uses.end(), cut.value) == uses.end()) continue;
    const Path other = module_path(*dependencies.nodes()[i]);
    const auto [here, there] = std::mismatch(
        path.begin(),
        path.begin() + static_cast<std::ptrdiff_t>(std::min(path.size(), other.size())),
        other.begin());
    shared = std::max(shared, static_cast<std::size_t>(here - path.begin()));
  }
  std::vector<Path> result;
  for (std::size_t depth = shared + 1; depth <= path.size(); ++depth) {
    result.emplace_back(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(depth));
  }
  return result;
}

std::string operation_name(const Cut& cut) {
  std::string kind = cut.value->node()->kind().toUnqualString();
  while (!kind.empty() && (kind.back() == '_' || kind.front() == '_')) {
    kind.erase(kind.back() == '_' ? kind.size() - 1 : 0, 1);
  }
  return fmt::format("{}@{}", kind, cut.node);
}

struct Place {
  std::size_t cut = 0;
  Path module;         // empty: no module of interest ends here
  bool block = false;  // the module has several weighted operations
};

// Where the value stands among the blocks; false when it lies inside one.
bool place(const Scopes& scopes, const std::vector<Path>& modules, const Path& path, Place& place) {
  if (modules.empty()) return scopes.is_first_level(path);
  Path parent = modules[0];
  parent.pop_back();
  if (!scopes.opened(parent)) return false;
  std::size_t i = 0;
  while (i + 1 < modules.size() && scopes.opened(modules[i]) &&
         (scopes.weights(modules[i + 1]) >= 2 || !scopes.has_blocks(modules[i]))) {
    ++i;
  }
  place.module = modules[i];
  place.block = scopes.weights(place.module) >= 2;
  return true;
}

// Of the places with no weighted operation between them, the end of a block, else the last.
std::vector<Place> thin(const Dependencies& dependencies, const std::vector<Cut>& cuts,
                        const std::vector<Place>& places) {
  const auto weighted_behind = [&](std::size_t cut) {
    const auto& behind = dependencies.behind(cuts[cut].node);
    std::size_t count = 0;
    for (std::size_t i = 0; i < behind.size(); ++i) {
      count += behind[i] && is_weighted(*dependencies.nodes()[i]);
    }
    return count;
  };
  std::vector<Place> kept;
  std::size_t last_count = 0;
  for (const Place& place : places) {
    const std::size_t count = weighted_behind(place.cut);
    if (count == 0) continue;
    if (count == last_count) {
      if (place.block || !kept.back().block) kept.back() = place;
    } else {
      kept.push_back(place);
    }
    last_count = count;
  }
  return kept;
}

}  // namespace

std::vector<std::string> module_path(const jit::Node& node) {
  Path path;
  const auto stack = node.callstack();
  if (!stack) return path;
  for (const auto& entry : (*stack)->vec()) {
    const auto& module = std::get<2>(entry);
    if (!module) continue;
    const std::string name = module->instance_name();
    if (name.empty() || name == "SELF" || name == "INSTANCE_NAME_UNKNOWN" || name == "self")
      continue;
    path.push_back(name);
  }
  return path;
}

std::vector<NamedCut> name_cuts(const Dependencies& dependencies, const std::vector<Cut>& cuts,
                                bool all) {
  const Scopes scopes(dependencies);
  std::vector<Place> places;
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    const jit::Node& node = *dependencies.nodes()[cuts[i].node];
    const std::vector<Path> modules = ended(dependencies, cuts[i]);
    // Views hold nothing new, unless a block ends with one (a transposition, say).
    Place here{i, {}, false};
    const bool at_level = place(scopes, modules, module_path(node), here);
    if (is_view(node) && !(at_level && here.block)) continue;
    if (!at_level) {
      if (!all) continue;
      here.module = modules.empty() ? Path{} : modules.front();
      here.block = false;
    }
    places.push_back(std::move(here));
  }
  if (!all) places = thin(dependencies, cuts, places);
  std::vector<NamedCut> named;
  std::set<std::string> taken;
  for (const Place& place : places) {
    const Cut& cut = cuts[place.cut];
    std::string name = place.module.empty() ? operation_name(cut) : text::join(place.module, ".");
    std::replace(name.begin(), name.end(), '/', '_');
    if (!taken.insert(name).second) {
      name = fmt::format("{}@{}", name, cut.node);
      taken.insert(name);
    }
    named.push_back({place.cut, name});
  }
  return named;
}

}  // namespace cachectl::model
