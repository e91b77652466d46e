import { h } from "../shared/dom.js"; document.getElementById("page").append(h("h1", {}, "cachectl-serve"));
