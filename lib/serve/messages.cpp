#include "serve/messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/text.h"
#include "base/version.h"

namespace cachectl::serve {
namespace {

struct Output {
  std::string datatype;
  std::vector<std::int64_t> shape;
  Json data;          // flat
  std::string bytes;  // the same, raw
};

template <class T>
void append_raw(std::string& bytes, const T& value) {
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  bytes.append(raw, sizeof(T));
}

template <class T>
void fill(Output& output, bool binary, const std::vector<T>& values) {
  if (!binary) {
    output.data = values;
    return;
  }
  for (const T& value : values) append_raw(output.bytes, value);
}

void fill(Output& output, bool binary, const std::vector<std::string>& values) {
  if (!binary) {
    output.data = values;
    return;
  }
  for (const std::string& value : values) {
    append_raw(output.bytes, static_cast<std::uint32_t>(value.size()));
    output.bytes += value;
  }
}

Output make_output(const WantedOutput& wanted, const std::vector<ItemAnswer>& items,
                   std::int64_t classes) {
  Output output;
  output.shape = {static_cast<std::int64_t>(items.size())};
  if (wanted.name == "label") {
    output.datatype = "INT64";
    std::vector<std::int64_t> labels;
    for (const ItemAnswer& item : items) labels.push_back(item.label);
    fill(output, wanted.binary, labels);
  } else if (wanted.name == "confidence") {
    output.datatype = "FP32";
    std::vector<float> confidences;
    for (const ItemAnswer& item : items) confidences.push_back(item.confidence);
    fill(output, wanted.binary, confidences);
  } else if (wanted.name == "exit") {
    output.datatype = "BYTES";
    std::vector<std::string> exits;
    for (const ItemAnswer& item : items) exits.push_back(item.exit);
    fill(output, wanted.binary, exits);
  } else {
    output.datatype = "FP32";
    output.shape.push_back(classes);
    std::vector<float> all;
    for (const ItemAnswer& item : items) {
      all.insert(all.end(), item.probabilities.begin(), item.probabilities.end());
    }
    fill(output, wanted.binary, all);
  }
  return output;
}

// The protocol's parameters are strings, numbers and booleans: lists are joined by commas.
Json response_parameters(const std::vector<ItemAnswer>& items) {
  std::vector<std::string> exits, confidences, plans;
  for (const ItemAnswer& item : items) {
    exits.push_back(item.exit);
    confidences.push_back(fmt::format("{}", item.confidence));
    if (std::find(plans.begin(), plans.end(), item.plan) == plans.end()) plans.push_back(item.plan);
  }
  return {{"exits", text::join(exits, ",")},
          {"confidences", text::join(confidences, ",")},
          {"plan", text::join(plans, ",")}};
}

Json described(const char* name, const char* datatype, std::vector<std::int64_t> item_shape) {
  item_shape.insert(item_shape.begin(), -1);
  return {{"name", name}, {"datatype", datatype}, {"shape", item_shape}};
}

}  // namespace

Body infer_response(const ServedModel& model, const InferRequest& request,
                    const std::vector<ItemAnswer>& items) {
  Json outputs = Json::array();
  std::string raw;
  bool any_binary = false;
  for (const WantedOutput& wanted : request.outputs) {
    Output output = make_output(wanted, items, model.engine().classes());
    Json said = {{"name", wanted.name}, {"datatype", output.datatype}, {"shape", output.shape}};
    if (wanted.binary) {
      any_binary = true;
      said["parameters"] = {{"binary_data_size", output.bytes.size()}};
      raw += output.bytes;
    } else {
      said["data"] = std::move(output.data);
    }
    outputs.push_back(std::move(said));
  }
  Json response = {{"model_name", model.name()},
                   {"model_version", "1"},
                   {"parameters", response_parameters(items)},
                   {"outputs", std::move(outputs)}};
  if (!request.id.empty()) response["id"] = request.id;
  Body body;
  body.bytes = text_of(response);
  if (any_binary) {
    body.json_bytes = body.bytes.size();
    body.bytes += raw;
  }
  return body;
}

std::string error_message(const std::string& text) {
  return text_of({{"error", text}});
}

std::string stream_item(const std::string& id, const ItemAnswer& item, bool probabilities) {
  Json message = {{"index", item.index}};
  if (!id.empty()) message["id"] = id;
  if (item.outcome != Outcome::kAnswered) {
    const bool expired = item.outcome == Outcome::kExpired;
    message["error"] = expired ? "its deadline passed" : "its batch failed";
    message["status"] = expired ? 504 : 500;
    return text_of(message);
  }
  message["label"] = item.label;
  if (!item.class_name.empty()) message["class"] = item.class_name;
  message["confidence"] = item.confidence;
  message["exit"] = item.exit;
  message["milliseconds"] = item.milliseconds;
  if (probabilities) message["probabilities"] = item.probabilities;
  return text_of(message);
}

std::string stream_summary(const std::string& id, const QuerySummary& summary) {
  Json message = {{"summary",
                   {{"items", summary.items},
                    {"answered", summary.answered},
                    {"expired", summary.expired},
                    {"failed", summary.failed},
                    {"exits", summary.exits},
                    {"first_milliseconds", summary.first_milliseconds},
                    {"milliseconds", summary.milliseconds}}}};
  if (!id.empty()) message["id"] = id;
  return text_of(message);
}

std::string stream_error(const std::string& id, int status, const std::string& text,
                         int retry_after) {
  Json message = {{"error", text}, {"status", status}};
  if (!id.empty()) message["id"] = id;
  if (retry_after > 0) message["retry_after"] = retry_after;
  return text_of(message);
}

std::string server_metadata() {
  return text_of({{"name", "cachectl-serve"},
                  {"version", kVersion},
                  {"extensions", {"binary_tensor_data", "cachectl_stream", "cachectl_exits"}}});
}

std::string model_metadata(const ServedModel& model) {
  Json exits = Json::array();
  const runtime::Engine& engine = model.engine();
  for (std::size_t p = 0; p < engine.plans(); ++p) {
    Json names = Json::array();
    for (std::size_t e = 0; e <= engine.exits(p).size(); ++e)
      names.push_back(engine.exit_name(p, e));
    exits.push_back({{"batch", engine.plan(p).batch}, {"exits", names}});
  }
  Json metadata = {
      {"name", model.name()},
      {"versions", {"1"}},
      {"platform", "pytorch_torchscript"},
      {"inputs", Json::array({described(kInput, "FP32", model.item_shape())})},
      {"outputs", Json::array({described("label", "INT64", {}), described("confidence", "FP32", {}),
                               described("exit", "BYTES", {}),
                               described("probabilities", "FP32", {engine.classes()})})},
      {"parameters",
       {{"plan", model.facts().hash.substr(0, 12)},
        {"image_input", model.takes_images() ? kImage : ""}}},
      {"plans", exits}};
  return text_of(metadata);
}

}  // namespace cachectl::serve
