#include "serve/request_json.h"

#include <optional>
#include <utility>

#include "serve/refusal.h"

namespace cachectl::serve {
namespace {

// Collects one tensor's numbers, and checks that arrays of one level are equally long.
class DataReader {
 public:
  DataReader(TensorData& data, const JsonLimits& limits) : data_(data), limits_(limits) {
    data_.given = true;
  }

  void open() { counts_.push_back(0); }
  // Whether this was the outermost array.
  bool close() {
    const std::size_t level = counts_.size() - 1;
    const std::int64_t count = counts_.back();
    counts_.pop_back();
    if (data_.nesting.size() <= level) data_.nesting.resize(level + 1, -1);
    if (data_.nesting[level] < 0) data_.nesting[level] = count;
    if (data_.nesting[level] != count)
      throw Refusal(400, "data: arrays of one level differ in length");
    if (!counts_.empty()) ++counts_.back();
    return counts_.empty();
  }
  void number(float value) {
    place_value();
    if (data_.numbers.size() >= limits_.max_numbers) {
      throw Refusal(413, "data: more than the " + std::to_string(limits_.max_numbers) +
                             " numbers that a request may hold");
    }
    data_.numbers.push_back(value);
  }
  void text(std::string& value) {
    place_value();
    if (data_.strings.size() >= limits_.max_values) throw Refusal(413, "data: too many strings");
    data_.strings.push_back(std::move(value));
  }

 private:
  // Values stand at one level only.
  void place_value() {
    const std::size_t level = counts_.size();
    if (values_at_ == 0) values_at_ = level;
    if (values_at_ != level) throw Refusal(400, "data: values at different levels");
    ++counts_.back();
  }

  TensorData& data_;
  const JsonLimits& limits_;
  std::vector<std::int64_t> counts_;  // of the open arrays, outermost first
  std::size_t values_at_ = 0;
};

class Handler : public nlohmann::json_sax<Json> {
 public:
  explicit Handler(const JsonLimits& limits) : limits_(limits) {}

  RequestJson take() { return std::move(result_); }

  bool null() override { return place(nullptr); }
  bool boolean(bool value) override { return place(value); }
  bool number_integer(number_integer_t value) override { return any_number(value); }
  bool number_unsigned(number_unsigned_t value) override { return any_number(value); }
  bool number_float(number_float_t value, const string_t&) override { return any_number(value); }
  bool string(string_t& value) override {
    if (reader_) {
      reader_->text(value);
      return true;
    }
    return place(std::move(value));
  }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override {
    deeper();
    open_.push_back(add(Json::object()));
    return true;
  }
  bool end_object() override { return end(); }
  bool key(string_t& name) override {
    key_ = std::move(name);
    return true;
  }
  bool start_array(std::size_t) override {
    deeper();
    if (!reader_ && opens_data()) {
      const std::size_t input = open_[1]->size() - 1;
      result_.data.resize(input + 1);
      if (result_.data[input].given) throw Refusal(400, "data: given twice for one input");
      reader_.emplace(result_.data[input], limits_);
    }
    if (reader_) {
      reader_->open();
    } else {
      open_.push_back(add(Json::array()));
    }
    return true;
  }
  bool end_array() override {
    if (!reader_) return end();
    --depth_;
    if (reader_->close()) reader_.reset();
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    throw Refusal(400, "no valid JSON: at byte " + std::to_string(position));
  }

 private:
  void deeper() {
    if (++depth_ > limits_.max_depth) {
      throw Refusal(413,
                    "JSON nested deeper than " + std::to_string(limits_.max_depth) + " levels");
    }
  }
  bool end() {
    --depth_;
    open_.pop_back();
    return true;
  }
  // "data" of an object in the root's "inputs".
  bool opens_data() const {
    return open_.size() == 3 && key_ == "data" && open_[2]->is_object() && open_[1]->is_array() &&
           in_inputs_;
  }
  template <class T>
  bool any_number(T value) {
    if (!reader_) return place(value);
    reader_->number(static_cast<float>(value));
    return true;
  }
  bool place(Json value) {
    if (reader_) throw Refusal(400, "data: neither numbers nor strings");
    add(std::move(value));
    return true;
  }
  Json* add(Json value) {
    if (reader_) throw Refusal(400, "data: an object among the values");
    if (++values_ > limits_.max_values) throw Refusal(413, "JSON with too many values");
    if (open_.empty()) {
      if (!value.is_object()) throw Refusal(400, "expected a JSON object");
      result_.head = std::move(value);
      return &result_.head;
    }
    Json& parent = *open_.back();
    if (open_.size() == 1) in_inputs_ = key_ == "inputs";
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    if (parent.contains(key_)) throw Refusal(400, "a key is given twice: " + key_.substr(0, 60));
    return &(parent[key_] = std::move(value));
  }

  const JsonLimits& limits_;
  RequestJson result_;
  // Objects and arrays from the root to where the parser is. An element stays where it is while
  // it is open: only its own children are added meanwhile.
  std::vector<Json*> open_;
  std::string key_;
  bool in_inputs_ = false;
  std::optional<DataReader> reader_;
  std::int64_t depth_ = 0;
  std::size_t values_ = 0;
};

}  // namespace

RequestJson parse_request_json(std::string_view text, const JsonLimits& limits) {
  Handler handler(limits);
  Json::sax_parse(text.begin(), text.end(), &handler);
  RequestJson request = handler.take();
  if (!request.head.is_object()) throw Refusal(400, "expected a JSON object");
  const auto inputs = request.head.find("inputs");
  if (inputs != request.head.end() && inputs->is_array()) request.data.resize(inputs->size());
  return request;
}

}  // namespace cachectl::serve
