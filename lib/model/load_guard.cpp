#include "model/load_guard.h"

#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/frontend/parser.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <memory>
#include <stdexcept>

#include "base/error.h"

namespace cachectl::model {
namespace jit = torch::jit;
namespace {

[[noreturn]] void refuse_computed(const std::string& where, const std::string& name) {
  fail(ExitCode::kCorrupt,
       "{}: the value of '{}' is computed, which LibTorch would do while reading the file, before "
       "the program can be checked; give it a literal and export the model again",
       where, name);
}

bool all_of(const jit::TreeList& trees, bool (*holds)(const jit::TreeRef&)) {
  return std::all_of(trees.begin(), trees.end(), holds);
}

bool is_number(const jit::TreeRef& tree) {
  switch (tree->kind()) {
    case jit::TK_CONST:
    case jit::TK_VAR:  // inf, nan
      return true;
    case jit::TK_UNARY_MINUS:
    case '+':  // 1+2j
    case '-':
      return all_of(tree->trees(), is_number);
    default:
      return false;
  }
}

// "CONSTANTS.c0", "torch.device"; empty where the tree is no name.
std::string dotted(const jit::TreeRef& tree) {
  if (tree->kind() == jit::TK_VAR) return jit::Var(tree).name().name();
  if (tree->kind() != '.') return "";
  const jit::Select select(tree);
  const std::string base = dotted(select.value());
  return base.empty() ? base : base + '.' + select.selector().name();
}

// An entry of the constants, or an enumerator; not a property of the former.
bool is_value(const std::string& name) {
  static const std::string kConstants = "CONSTANTS.";
  return !name.empty() &&
         (name.rfind(kConstants, 0) != 0 || name.find('.', kConstants.size()) == std::string::npos);
}

// What an export writes for a value: reading it calls nothing of the program's.
bool is_literal(const jit::TreeRef& tree) {
  switch (tree->kind()) {
    case jit::TK_STRINGLITERAL:
    case jit::TK_NONE:
    case jit::TK_TRUE:
    case jit::TK_FALSE:
      return true;
    case jit::TK_LIST:
    case jit::TK_LIST_LITERAL:
    case jit::TK_TUPLE_LITERAL:
    case jit::TK_DICT_LITERAL:
      return all_of(tree->trees(), is_literal);
    case '.':
      return is_value(dotted(tree));
    case jit::TK_APPLY: {
      const jit::Apply call(tree);
      if (!call.attributes().empty()) return false;
      const auto inputs = call.inputs();
      const std::string name = dotted(call.callee());
      if (name == "annotate") return inputs.size() == 2 && is_literal(inputs[1]);
      return name == "torch.device" && is_literal(inputs);
    }
    default:
      return is_number(tree);
  }
}

void check(const jit::TreeRef& tree, const std::string& where) {
  if (tree->kind() == jit::TK_DEF && jit::Def(tree).name().name() == "__setstate__") {
    fail(ExitCode::kCorrupt,
         "{}: defines __setstate__, which LibTorch would run while reading the file, before the "
         "program can be checked; freeze the model (torch.jit.freeze), which leaves such methods "
         "out, and save it again",
         where);
  }
  if (tree->kind() == jit::TK_PARAM) {
    const jit::Param parameter(tree);
    const auto value = parameter.defaultValue();
    if (value.present() && !is_literal(value.get())) {
      refuse_computed(where, parameter.ident().name());
    }
  }
  for (const jit::TreeRef& part : tree->trees()) check(part, where);
}

void check_class(const jit::ClassDef& definition, const std::string& where) {
  for (const jit::Stmt& statement : definition.body()) {
    if (statement.kind() != jit::TK_ASSIGN) continue;
    const jit::Assign assign(statement);
    // __annotations__["0"] = TYPE
    if (assign.lhs().kind() == jit::TK_SUBSCRIPT || !assign.rhs().present()) continue;
    if (!is_literal(assign.rhs().get())) refuse_computed(where, dotted(assign.lhs()));
  }
  check(definition, where);
}

// Definitions, as LibTorch's importer finds them; between them are imports.
void check_source(const std::string& text, const std::string& where) {
  jit::Parser parser(std::make_shared<jit::Source>(text));
  jit::Lexer& lexer = parser.lexer();
  while (lexer.cur().kind != jit::TK_EOF) {
    if (lexer.cur().kind == jit::TK_CLASS_DEF) {
      check_class(jit::ClassDef(parser.parseClass()), where);
    } else if (lexer.cur().kind == jit::TK_DEF) {
      check(parser.parseFunction(/*is_method=*/false), where);
    } else {
      while (lexer.cur().kind != jit::TK_NEWLINE && lexer.cur().kind != jit::TK_EOF) lexer.next();
      lexer.nextIf(jit::TK_NEWLINE);
    }
  }
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// The reader finds records whatever the case of their names.
bool is_source(std::string record) {
  std::transform(record.begin(), record.end(), record.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return record.rfind("code/", 0) == 0 && !ends_with(record, ".debug_pkl");
}

}  // namespace

void refuse_code_at_load(const std::string& path) {
  // LibTorch goes by the first bytes; with others it reads formats that have no source.
  char first[4] = {};
  std::ifstream(path, std::ios::binary).read(first, sizeof first);
  if (std::string(first, sizeof first) != "PK\x03\x04") {
    throw std::runtime_error("it is no zip archive");
  }
  caffe2::serialize::PyTorchStreamReader reader(path);
  if (reader.hasRecord("model.json")) {
    throw std::runtime_error("its layout, with model.json, is that of early releases of PyTorch");
  }
  for (const std::string& record : reader.getAllRecords()) {
    if (!is_source(record)) continue;
    const auto [data, size] = reader.getRecord(record);
    if (size == 0) continue;
    check_source(std::string(static_cast<const char*>(data.get()), size), path + ": " + record);
  }
}

}  // namespace cachectl::model
