#include "serve/serve.h"

#include <atomic>
#include <boost/asio/ip/address.hpp>
#include <csignal>
#include <iostream>

#include "base/cancel.h"
#include "base/log.h"
#include "serve/json.h"
#include "serve/plan_watcher.h"
#include "serve/process.h"
#include "serve/server.h"

namespace cachectl::serve {
namespace {

void announce(const Options& options, const Server& server, const ServedModel& model) {
  if (options.common.json) {
    std::cout << text_of({{"address", server.address()},
                          {"port", server.port()},
                          {"model", model.name()},
                          {"plan", model.facts().hash.substr(0, 12)}})
              << std::endl;
  } else {
    std::cout << server.address() << std::endl;
  }
  log::info("model '{}', {} at {}", model.name(),
            options.plain ? "the backbone alone" : "plan " + model.facts().hash.substr(0, 12),
            server.address());
}

void warn_of_strangers(const Options& options) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(options.host, error);
  if (error || address.is_loopback() || !options.token_file.empty()) return;
  log::warning("{} can be reached from other machines, and no token is asked for (--token-file)",
               options.host);
}

}  // namespace

void run(const Options& options) {
  std::signal(SIGHUP, SIG_IGN);  // nothing to look at anew while it loads
  options.validate();
  start_time();
  raise_descriptor_limit();
  const Access access =
      options.token_file.empty() ? Access() : Access::from_file(options.token_file);
  std::shared_ptr<const ServedModel> model = ServedModel::load(options);
  cancel::throw_if_requested();

  Service service(options, model, access);
  Server server(service);
  std::atomic<int> ending{0};
  bool all_answered = false;
  {
    PlanWatcher watcher(service);
    server.on_signal([&](int signal) {
      if (signal == SIGHUP) return watcher.look();
      if (ending.exchange(signal) != 0) return server.stop();
      log::info("ending: what was accepted is still answered");
      server.drain();
    });
    cancel::throw_if_requested();  // a signal that came before these were heard
    warn_of_strangers(options);
    announce(options, server, *model);
    model.reset();  // a plan that is replaced shall go
    all_answered = server.run();
  }
  if (!all_answered) {
    service.batcher().give_up();
    throw cancel::Cancelled(ending);
  }
  log::info("ended; all that was accepted has its answer");
}

}  // namespace cachectl::serve
