#pragma once

#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "serve/connection.h"
#include "serve/service.h"

namespace cachectl::serve {

// Accepts the upgrade and serves the WebSocket: a frame is a query batch, a text frame per
// item comes back as soon as its exit resolves it, and a summary at the end. Frames are not
// waited for one another. docs/serve.md describes them.
void start_stream_session(boost::beast::tcp_stream stream,
                          boost::beast::http::request<boost::beast::http::string_body> upgrade,
                          Service& service, Connections& connections);

}  // namespace cachectl::serve
