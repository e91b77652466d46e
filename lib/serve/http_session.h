#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>

#include "serve/connection.h"
#include "serve/service.h"

namespace cachectl::serve {

// Serves HTTP/1.1 on a connection, one request after the other, until one side closes it, a
// time limit passes or it becomes a stream (stream_session.h). Both must outlive it.
void start_http_session(boost::asio::ip::tcp::socket socket, Service& service,
                        Connections& connections);

// Says 503 and closes.
void refuse_connection(boost::asio::ip::tcp::socket socket, Service& service,
                       Connections& connections);

}  // namespace cachectl::serve
