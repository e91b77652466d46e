#pragma once

#include <string>
#include <vector>

#include "serve/infer_request.h"
#include "serve/json.h"
#include "serve/query.h"
#include "serve/served_model.h"

// What the server says: answers of the v2 protocol, messages of a stream, descriptions.
namespace cachectl::serve {

// Body of an HTTP response. json_bytes: length of the JSON in front of raw tensors; 0: all JSON.
struct Body {
  std::string bytes;
  std::size_t json_bytes = 0;
};

// items: all answered, in order of their index.
Body infer_response(const ServedModel& model, const InferRequest& request,
                    const std::vector<ItemAnswer>& items);

std::string error_message(const std::string& text);

// Messages of a stream, each a text frame.
std::string stream_item(const std::string& id, const ItemAnswer& item, bool probabilities);
std::string stream_summary(const std::string& id, const QuerySummary& summary);
std::string stream_error(const std::string& id, int status, const std::string& text,
                         int retry_after);

std::string server_metadata();
std::string model_metadata(const ServedModel& model);

}  // namespace cachectl::serve
