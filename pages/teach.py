"""Classes of one's own: named, filled with a few clips each, taught in a minute, and tried at once."""

import streamlit as st

from ui.checkpoints import open_trained
from ui.components.status_line import announce
from ui.jobs import ready
from ui.machine import show_machine
from ui.page import frame, go_on
from ui.query_params import check_link, remember_link
from ui.server import get_server
from ui.settings import CONTROLS, pick_settings_in_a_line
from ui.teach_classes import name_class, show_classes
from ui.teach_fill import fill
from ui.teach_results import changes, news, show_confused, show_result, show_take_along
from ui.teach_start import ask_again, asked_of, faults_of, follow, show_base, show_button, show_ended, show_faults
from ui.teach_try import try_it
from ui.visit import visitor

visitor()  # tells the server that they are here: the first run after a lost connection may ask for nothing else that does
go_on()
remember_link("teach")
pressed, voice = frame()
lessons = get_server().lessons
if taught := lessons.taught(visitor()):
    ask_again(taught.asked)

with st.container(gap="small"):
    st.title("Teach it your own actions", anchor=False)
with st.container(key="controls"):
    settings = pick_settings_in_a_line(pressed, taught=False)
    check_link("teach", CONTROLS)
    show_base(settings)
classes = lessons.classes(visitor())
named, filled, answered = st.columns([42, 44, 48], gap="medium")
with named:
    st.subheader("1 · Name your classes", anchor=False)
    name_class(classes)
    show_classes(classes)
with filled:
    st.subheader("2 · Fill each with clips", anchor=False)
    fill(classes)
tried = ""
running, taught = lessons.running(visitor()), lessons.taught(visitor())
at_work = running and running.state == "running"
faults = faults_of(running)
with answered:
    st.subheader("3 · Teach it, and try it", anchor=False)
    if ready("model"):
        if at_work:
            follow()
        else:
            checkpoint, fault = open_trained(settings)
            show_button(classes, settings, checkpoint, fault)
            show_ended(running)
    if taught:
        show_result(taught, "" if at_work else changes(taught, classes, faults, asked_of(settings)))
    show_faults(faults, classes)
    if taught:
        show_confused(taught, classes)
        tried = try_it(taught, classes)
        show_take_along(taught)
with voice:
    announce(news(running, taught, tried))
show_machine()
