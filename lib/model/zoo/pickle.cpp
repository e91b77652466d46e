#include "zoo/pickle.h"

#include <cstring>
#include <unordered_map>
#include <utility>

#include "base/error.h"

namespace cachectl::zoo {

namespace {

// A state dict of 10,000 tensors has some 300,000 values.
constexpr std::size_t kMostValues = 20'000'000;

}  // namespace

// A stack machine over the opcodes of Python's Lib/pickletools.py that torch.save emits.
class PickleReader {
 public:
  PickleReader(const std::vector<char>& bytes, std::size_t offset, const std::string& where,
               Pickle& result)
      : bytes_(bytes), at_(offset), where_(where), result_(result) {}

  void run() {
    if (take<std::uint8_t>() != 0x80) {
      fail(ExitCode::kCorrupt, "{}: no pickle begins at byte {}", where_, at_ - 1);
    }
    if (const int protocol = take<std::uint8_t>(); protocol < 2 || protocol > 5) {
      fail(ExitCode::kCorrupt, "{}: pickle protocol {}; expected 2 to 5", where_, protocol);
    }
    while (step(take<std::uint8_t>())) {
    }
    result_.root_ = pop();
    result_.end_ = at_;
  }

 private:
  using Kind = Pickle::Kind;
  using Index = Pickle::Index;
  using Value = Pickle::Value;

  [[noreturn]] void damaged(const char* what) const {
    fail(ExitCode::kCorrupt, "{}: the pickle is damaged at byte {}: {}", where_, at_, what);
  }

  template <class T>
  T take() {
    if (bytes_.size() - at_ < sizeof(T)) damaged("it is cut short");
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }
  std::string take_text(std::uint64_t size) {
    if (bytes_.size() - at_ < size) damaged("a text is cut short");
    std::string text(bytes_.data() + at_, size);
    at_ += size;
    return text;
  }
  std::string take_line() {
    const void* end = std::memchr(bytes_.data() + at_, '\n', bytes_.size() - at_);
    if (end == nullptr) damaged("a line is cut short");
    std::string line = take_text(
        static_cast<std::uint64_t>(static_cast<const char*>(end) - (bytes_.data() + at_)));
    ++at_;
    return line;
  }

  Value& push(Kind kind, std::int64_t number = 0, std::string text = "",
              std::vector<Index> items = {}) {
    if (result_.values_.size() >= kMostValues) damaged("too many values");
    stack_.push_back(static_cast<Index>(result_.values_.size()));
    return result_.values_.emplace_back(Value{kind, number, std::move(text), std::move(items)});
  }
  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  Index pop() {
    if (stack_.size() <= floor()) damaged("a value is missing");
    const Index index = stack_.back();
    stack_.pop_back();
    return index;
  }
  Index peek() const {
    if (stack_.size() <= floor()) damaged("a value is missing");
    return stack_.back();
  }
  std::vector<Index> pop_to_mark() {
    if (marks_.empty()) damaged("a mark is missing");
    std::vector<Index> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()),
                             stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }
  std::vector<Index> pop_many(std::size_t count) {
    std::vector<Index> items(count);
    while (count > 0) items[--count] = pop();
    return items;
  }

  void remember(std::uint32_t slot) { memo_[slot] = peek(); }
  void recall(std::uint32_t slot) {
    const auto found = memo_.find(slot);
    if (found == memo_.end()) damaged("it recalls what was never remembered");
    stack_.push_back(found->second);
  }

  void extend(Kind kind, const std::vector<Index>& items) {
    Value& target = result_.values_[peek()];
    if (target.kind == Kind::kOpaque) return;  // an object of no interest
    if (target.kind != kind) damaged("items for what is neither list nor dict");
    if (kind == Kind::kDict && items.size() % 2 != 0) damaged("a key without a value");
    target.items.insert(target.items.end(), items.begin(), items.end());
  }

  // function(arguments): tensors and dicts are understood, the rest is opaque.
  void reduce() {
    const Value& arguments = result_.values_[pop()];
    const Value& function = result_.values_[pop()];
    if (arguments.kind != Kind::kTuple) damaged("arguments that are no tuple");
    const std::string name = function.text;
    const std::vector<Index> items = arguments.items;
    if (name == "collections OrderedDict" && items.empty()) {
      push(Kind::kDict);
    } else if (name == "torch._utils _rebuild_tensor_v2" && items.size() >= 4) {
      push(Kind::kTensor, 0, "", items);
    } else if ((name == "torch._utils _rebuild_parameter" ||
                name == "torch.jit._pickle restore_type_tag") &&
               !items.empty()) {
      stack_.push_back(items[0]);
    } else {
      push(Kind::kOpaque, 0, name);
    }
  }

  void take_long(std::size_t size) {
    const std::string digits = take_text(size);
    if (size > 8) {
      push(Kind::kText, 0, digits);
      return;
    }
    std::uint64_t value = size > 0 && (digits.back() & 0x80) != 0 ? ~std::uint64_t{0} : 0;
    std::memcpy(&value, digits.data(), size);
    push(Kind::kInt, static_cast<std::int64_t>(value));
  }

  // False at the end of the pickle.
  bool step(std::uint8_t opcode) {
    switch (opcode) {
      case '.':
        return false;
      case '(':
        marks_.push_back(stack_.size());
        break;
      case '0':
        pop();
        break;
      case '2':
        stack_.push_back(peek());
        break;
      case 'N':
        push(Kind::kNone);
        break;
      case 0x88:
      case 0x89:
        push(Kind::kBool, opcode == 0x88 ? 1 : 0);
        break;
      case 'J':
        push(Kind::kInt, take<std::int32_t>());
        break;
      case 'K':
        push(Kind::kInt, take<std::uint8_t>());
        break;
      case 'M':
        push(Kind::kInt, take<std::uint16_t>());
        break;
      case 0x8a:
        take_long(take<std::uint8_t>());
        break;
      case 'G':
        take<std::uint64_t>();
        push(Kind::kFloat);
        break;
      case 'U':
      case 'C':
      case 0x8c:
        push(Kind::kText, 0, take_text(take<std::uint8_t>()));
        break;
      case 'T':
      case 'B':
      case 'X':
        push(Kind::kText, 0, take_text(take<std::uint32_t>()));
        break;
      case 0x8d:
      case 0x8e:
        push(Kind::kText, 0, take_text(take<std::uint64_t>()));
        break;
      case ')':
        push(Kind::kTuple);
        break;
      case 't':
        push_items(Kind::kTuple, pop_to_mark());
        break;
      case 0x85:
      case 0x86:
      case 0x87:
        push_items(Kind::kTuple, pop_many(opcode - 0x84U));
        break;
      case ']':
      case 0x8f:  // a set, kept as a list
        push(Kind::kList);
        break;
      case '}':
        push(Kind::kDict);
        break;
      case 'a':
        extend(Kind::kList, {pop()});
        break;
      case 'e':
      case 0x90:
        extend(Kind::kList, pop_to_mark());
        break;
      case 's':
        extend(Kind::kDict, pop_many(2));
        break;
      case 'u':
        extend(Kind::kDict, pop_to_mark());
        break;
      case 'q':
        remember(take<std::uint8_t>());
        break;
      case 'r':
        remember(take<std::uint32_t>());
        break;
      case 0x94:
        remember(static_cast<std::uint32_t>(memo_.size()));
        break;
      case 'h':
        recall(take<std::uint8_t>());
        break;
      case 'j':
        recall(take<std::uint32_t>());
        break;
      case 'c': {
        const std::string module = take_line();
        push(Kind::kGlobal, 0, module + " " + take_line());
        break;
      }
      case 0x93: {
        const std::vector<Index> names = pop_many(2);
        push(Kind::kGlobal, 0,
             result_.values_[names[0]].text + " " + result_.values_[names[1]].text);
        break;
      }
      case 'R':
      case 0x81:
        reduce();
        break;
      case 'b':  // state for the object below: of a dict of tensors, its _metadata
        pop();
        peek();
        break;
      case 'Q':
        push_items(Kind::kStored, {pop()});
        break;
      case 0x95:
        take<std::uint64_t>();
        break;
      default:
        fail(ExitCode::kCorrupt, "{}: opcode {:#04x} at byte {} is none that torch.save writes",
             where_, opcode, at_ - 1);
    }
    return true;
  }
  void push_items(Kind kind, std::vector<Index> items) { push(kind, 0, "", std::move(items)); }

  const std::vector<char>& bytes_;
  std::size_t at_;
  const std::string& where_;
  Pickle& result_;
  std::vector<Index> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint32_t, Index> memo_;
};

Pickle::Pickle(const std::vector<char>& bytes, std::size_t offset, const std::string& where) {
  PickleReader(bytes, std::min(offset, bytes.size()), where, *this).run();
}

const Pickle::Value* Pickle::find(const Value& dict, const std::string& key) const {
  if (dict.kind != Kind::kDict) return nullptr;
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const Value& name = at(dict.items[i]);
    if (name.kind == Kind::kText && name.text == key) return &at(dict.items[i + 1]);
  }
  return nullptr;
}

}  // namespace cachectl::zoo
